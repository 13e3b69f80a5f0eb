"""What folding batch norms would gain: the floors of two rows on the network as it is and on a folded copy.

    python bench/folding.py [--nets b c] [--rounds 15]

Both are compiled calls in one process and take turns call by call. Prints the ratios (median, quartiles) and how far
the two networks' logits are apart; exits with 1 where that is more than 1e-5 of the largest.
"""

import argparse
import dataclasses
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from explanations import floors
from explanations.contest import quartiles
from explanations.contestant import timed
from explanations.folding import folded, pairs
from explanations.nets import NETS

ROWS = ("Grad-CAM", "gradient")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", choices=("b", "c"), default=["b", "c"])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    good = True
    for name in options.nets:
        net = NETS[name]()
        other = dataclasses.replace(net, model=folded(net.model))
        plain, quick = floors.items(net), floors.items(other)
        logits = [np.asarray(one.model(net.images, training=False)) for one in (net, other)]
        apart = np.abs(logits[0] - logits[1]).max() / np.abs(logits[0]).max()
        good = good and bool(apart <= 1e-5)
        print(f"{name}: {len(pairs(net.model))} batch norms folded, logits apart by {apart:.1e} of the largest")
        for row in ROWS:
            for _ in range(2):
                plain[row](), quick[row]()
            times = [(timed(plain[row])["ms"], timed(quick[row])["ms"]) for _ in range(options.rounds)]
            low, middle, high = quartiles([a / b for a, b in times])
            before, after = (float(np.median(column)) for column in zip(*times, strict=True))
            print(f"  {row}: {before:.1f} ms, folded {after:.1f} ms: {middle:.2f} x ({low:.2f}-{high:.2f})", flush=True)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
