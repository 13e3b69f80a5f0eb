"""Which op is which layer, on families of keras.applications: how many are paired, and how long that takes.

    python bench/align.py [FAMILY...]

Each pairing is checked against the same model as float32, and again without the file's names, as the slow tests do; a
wrong one ends the run. Models have random weights and batch norms that have seen pictures; 8 bits; 4 pictures.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from test_align_models import FAMILIES, check, of_family


def main(families: list[str]) -> None:
    import keras

    print("| family | ops | layers | pairs | least SQNR, dB | seconds |\n|---|---|---|---|---|---|", flush=True)
    for family in families or list(FAMILIES):
        with tempfile.TemporaryDirectory() as folder:
            done = check(*of_family(family), Path(folder))
        least = min(done.found.sqnr_db.values())
        pairs = len(done.found.layers)
        print(f"| {family} | {done.ops} | {done.layers} | {pairs} | {least:.1f} | {done.seconds:.1f} |", flush=True)
        keras.backend.clear_session()


if __name__ == "__main__":
    main(sys.argv[1:])
