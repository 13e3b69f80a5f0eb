"""Run notebooks from top to bottom: `python notebooks/run.py [--check] [NAME ...]`.

The outputs are stored in the notebooks, without times and machine's names; `--check` runs them and stores nothing. A
cell that raises ends in exit code 1, and so does a notebook that would be larger than a reader wants to load.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).parent
MOST_SECONDS = 900  # of one cell, on a busy machine
MOST_BYTES = 1_500_000
KEPT = ("image/png", "text/html", "text/plain", "text/markdown")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="notebooks, such as 03_layer_by_layer; default: all")
    parser.add_argument("--check", action="store_true", help="run, but store nothing")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    paths = [HERE / f"{Path(name).stem}.ipynb" for name in given.names] or sorted(HERE.glob("*.ipynb"))
    return max((run(path, store=not given.check) for path in paths), default=0)


def run(path: Path, *, store: bool) -> int:
    started = time.monotonic()
    notebook = nbformat.read(path, as_version=4)
    try:
        client = NotebookClient(notebook, timeout=MOST_SECONDS, kernel_name="python3", resources=here(path))
        client.execute(stderr=subprocess.DEVNULL)  # what libraries in C++ print about themselves
    except CellExecutionError as error:
        print(f"{path.name}: {error}", file=sys.stderr)
        return 1
    clean(notebook)
    text = nbformat.writes(notebook) + "\n"
    print(f"{path.name}: {time.monotonic() - started:.0f} s, {len(text):,} B")
    if len(text) > MOST_BYTES:
        print(f"{path.name}: more than {MOST_BYTES:,} B; make its pictures smaller", file=sys.stderr)
        return 1
    if store:
        path.write_text(text, encoding="utf-8")
    return 0


def here(path: Path) -> dict[str, dict[str, str]]:
    return {"metadata": {"path": str(path.parent)}}


def clean(notebook: nbformat.NotebookNode) -> None:
    """Leave what a reader sees: no times, no messages of libraries, no second form of the same picture."""
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell["metadata"] = {}
        if cell.cell_type != "code":
            continue
        cell["outputs"] = [out for out in cell.outputs if not (out.output_type == "stream" and out.name == "stderr")]
        for out in cell.outputs:
            for kind in [kind for kind in out.get("data", {}) if kind not in KEPT]:
                del out.data[kind]
            if {"image/png", "text/html"} & set(out.get("data", {})):
                out.data["text/plain"] = ""
            out.get("data", {}).get("image/png") and out.data.update({"image/png": out.data["image/png"].strip()})


if __name__ == "__main__":
    sys.exit(main())
