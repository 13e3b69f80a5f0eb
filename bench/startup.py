"""How long `tfviz --help` and `firmware-tools --help` take: best of several runs each; exits with 1 above the limit.

    python bench/startup.py [--runs 7] [--limit 0.5]

The best run is taken, since everything that disturbs a start makes it slower.
"""

import argparse
import subprocess
import sys
import time

PROGRAMS = {"tfviz": "tfviz.cli", "firmware-tools": "firmware_tools.cli"}
START = "from {} import main; main()"  # what the console script does
HEAVY = ("tensorflow", "keras", "cv2", "matplotlib", "jinja2", "ai_edge_litert", "tflite_micro", "unicorn")


def best_of(runs: int, module: str) -> float:
    """Seconds of the fastest start."""
    best = float("inf")
    for _ in range(runs):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", START.format(module), "--help"], check=True, capture_output=True)
        best = min(best, time.perf_counter() - started)
    return best


def heavy_imports(module: str) -> list[str]:
    """Heavy packages that `--help` loaded."""
    code = (
        f"import sys; sys.argv = ['x', '--help']\nfrom {module} import main\n"
        f"try: main()\nexcept SystemExit: pass\n"
        f"print(','.join(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return [name for name in done.stderr.strip().split(",") if name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--limit", type=float, default=0.5, help="seconds")
    options = parser.parse_args()
    missed = False
    for program, module in PROGRAMS.items():
        seconds, loaded = best_of(options.runs, module), heavy_imports(module)
        missed = missed or seconds > options.limit or bool(loaded)
        print(
            f"{program} --help: {seconds:.3f} s (limit {options.limit} s); heavy imports: {', '.join(loaded) or 'none'}"
        )
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
