"""How fast explanations are, beside hand-written floors and beside other libraries: one table, one command.

    python bench/explain.py [--nets a b c] [--quick] [--long] [--seconds 8] [--markdown FILE]

A floor is what the same sum costs at least: one plain compiled call, forward and backward only to the layer asked for,
nothing around it. Floor, tfviz and the peers (those that `make peers` has installed) each run in a process of their own
and take turns call by call, so that other load on the machine meets all alike. Networks, seeded weights, logits:
a = 64 x 64 x 1, Conv8, pool, Conv16, pool, Conv32, GAP, Dense10, batch 32; b = MobileNetV2 at 96 x 96, batch 8;
c = ResNet50 at 224 x 224, batch 8. Sampling methods on 8 images (a) or 1 (b, c). Times are medians in milliseconds, the
other columns the median ratio to the floor of the same round.

Exits with 1 where a limit is missed by more than noise: ours above 1.1 x the floor in three quarters of the rounds, or
slower than a peer by more than 5 % in three quarters; a first call on a or b more than 0.5 s over the model's own;
floor and ours that differ; memory that grows with the samples or is more than 10 % above the floor's; a compilation too
many. `--quick` takes networks a and b, no peers, no memory; `--long` adds 10,000 calls in a loop and 200 models made
and dropped.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from explanations import checks, contest
from explanations.contest import Contest, Row, median_ms, quartiles
from explanations.process import PEER_NAMES, peers

QUICK_ROWS = ("feature maps", "Grad-CAM", "five CAMs", "gradient", "SmoothGrad x 50")


def three_digits(value: float) -> str:
    """As text, thousands parted.

    >>> three_digits(2.7449), three_digits(5173.2)
    ('2.74', '5,170')
    """
    return f"{float(f'{value:.3g}'):,.10g}"


def ratio(row: Row, name: str) -> str:
    return f"{quartiles(row.ratios(name))[1]:.2f}" if name in row.times else ""


def header(names: list[str]) -> list[str]:
    titles = ["", "floor ms", "ours ms", "ours / floor", "quartiles", "first call s", "floor's first"]
    return titles + [PEER_NAMES[name] for name in names[2:]] + ["their first s"] * bool(names[2:])


def cells(row: Row, names: list[str]) -> list[str]:
    low, middle, high = quartiles(row.ratios("ours"))
    floor, ours = (three_digits(median_ms(row, name)) for name in ("floors", "ours"))
    line = [
        row.item,
        floor,
        ours,
        f"{middle:.2f}",
        f"{low:.2f}-{high:.2f}",
        *(f"{row.first[name] / 1e3:.2f}" for name in ("ours", "floors")),
    ]
    line += [ratio(row, name) for name in names[2:]]
    if names[2:]:
        line.append(" / ".join(f"{row.first[name] / 1e3:.1f}" if name in row.first else "-" for name in names[2:]))
    return line


def table(held: Contest, names: list[str]) -> Iterator[str]:
    """The rows as Markdown, padded so that it reads as text too."""
    lines = [header(names), *(cells(row, names) for row in held.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        padded = [
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
        ]
        yield f"| {' | '.join(padded)} |"
        if number == 0:
            yield f"|{'|'.join('-' * (width + 2) for width in widths)}|"


def report(held: Contest, names: list[str]) -> tuple[list[str], list[str]]:
    """The lines to print and the limits missed."""
    start, end = held.load
    rounds = [len(row.times["ours"]) for row in held.rows]
    lines = [
        "",
        f"Network {held.net}. Model's own first call {held.own['eager'] / 1e3:.2f} s, "
        f"{held.own['compiled'] / 1e3:.2f} s compiled (`predict`). "
        f"Load average {start:.1f} to {end:.1f} on {os.cpu_count()} processors; {min(rounds)} to {max(rounds)} rounds.",
        "",
        *table(held, names),
    ]
    missed = [f"{held.net}, {row.item}: {what}" for row in held.rows for what in row.missed()]
    return lines, missed + [f"{held.net}, {what}" for what in held.late() + held.differences]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", choices=contest.ROWS, default=list(contest.ROWS))
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="only these rows, such as 'Grad-CAM'")
    parser.add_argument("--seconds", type=float, default=8.0, help="about how long each row may take")
    parser.add_argument("--quick", action="store_true", help="under a minute: a and b, no peers, no memory")
    parser.add_argument("--long", action="store_true", help="the loops that would show a leak")
    parser.add_argument("--markdown", type=Path, help="write the tables into this file too")
    options = parser.parse_args()
    names = ["floors", "ours", *([] if options.quick else peers())]
    if not options.quick and not names[2:]:
        print("No peers here: `make peers` installs them.")
    nets = [net for net in options.nets if net != "c"] if options.quick else options.nets
    only = tuple(options.rows) if options.rows else QUICK_ROWS if options.quick else None
    written: list[str] = []
    missed: list[str] = []
    for net in nets:
        lines, late = report(
            contest.hold(net, names, seconds=1.0 if options.quick else options.seconds, only=only), names
        )
        print("\n".join(lines), flush=True)
        written += lines
        missed += late
    found = [checks.compilations()]
    if not options.quick:
        found.append(checks.memory(nets[-1]))
    if options.long:
        found.append(checks.leaks())
    for one in found:
        for line, good in one:
            print(line, flush=True)
            written.append(line)
            missed += [] if good else [line]
    if options.markdown:
        options.markdown.write_text("\n".join(written) + "\n")
    print("\n" + "\n".join(f"MISSED: {what}" for what in missed) if missed else "\nEvery limit is kept.")
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
