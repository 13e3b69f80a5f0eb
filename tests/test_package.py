"""What is built to be handed out: its metadata, and that the wheel alone is enough."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from test_demo import SMALLER, recipe

import tfviz

ROOT = Path(__file__).parents[1]


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["version"] == tfviz.__version__ == citation["version"]
    assert project["license"] == citation["license"]
    assert set(citation) >= {"cff-version", "message", "title", "authors"}


def test_both_packages_say_that_they_are_typed() -> None:
    assert (ROOT / "tfviz" / "py.typed").is_file()
    assert (ROOT / "firmware_tools" / "py.typed").is_file()


def run(*words: object, cwd: Path) -> str:
    """Run a program as a stranger to this checkout would; its standard output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(map(str, words))}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.mark.slow
def test_the_wheel_alone_in_a_clean_environment_runs_the_demo(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--outdir", tmp_path / "dist", ROOT, cwd=tmp_path)
    files = sorted((tmp_path / "dist").iterdir())
    assert [re.sub(r"-\d.*?(-py3.*)?(\.tar\.gz|\.whl)$", r"\2", file.name) for file in files] == [
        "tfviz.whl",
        "tfviz.tar.gz",
    ]
    run(sys.executable, "-m", "twine", "check", "--strict", *files, cwd=tmp_path)
    run(sys.executable, "-m", "venv", tmp_path / "clean", cwd=tmp_path)
    programs = tmp_path / "clean" / "bin"
    run(programs / "python", "-m", "pip", "install", "--quiet", f"{files[0]}[firmware]", cwd=tmp_path)
    where = run(programs / "python", "-c", "import tfviz; print(tfviz.__file__)", cwd=tmp_path)
    assert where.startswith(str(tmp_path / "clean"))
    for program, command, *arguments in recipe(tmp_path / "demo"):
        said = run(programs / program, command, *arguments, *SMALLER.get(command, []), cwd=tmp_path)
    assert said.splitlines()[-1].startswith("PASS: all 10 layers EXACT")
