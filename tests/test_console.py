"""What both command lines share: exit codes, one sentence for every failure, and quiet libraries."""

import logging
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tfviz import console
from tfviz.errors import InputError, LinkError


def failing(error: BaseException | None):
    application = console.app("tool", "Does something.")

    @application.command()
    def go(number: int = 1) -> None:
        """Go."""
        if error is not None:
            raise error
        console.say(f"went {number}")

    @application.command()
    def other() -> None:
        """Another, so that commands are named."""

    return application


def code_of(application, *arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        console.run(application, arguments)
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (InputError("There is no model."), 2, "tool: There is no model.\n"),
        (LinkError("The device went silent."), 3, "tool: The device went silent.\n"),
        (PermissionError(13, "Permission denied", "/root/x"), 2, "tool: Cannot use /root/x: Permission denied.\n"),
        (
            ZeroDivisionError("oops"),
            70,
            "tool: ZeroDivisionError: oops (This is a fault of tool itself; --debug shows where.)\n",
        ),
        (KeyboardInterrupt(), 130, "tool: Interrupted.\n"),
    ],
)
def test_a_failure_is_one_sentence_and_its_exit_code(error, code, sentence, capsys) -> None:
    assert code_of(failing(error), "go") == code
    said = capsys.readouterr()
    assert said.err == sentence
    assert said.out == ""


def test_a_sentence_of_several_lines_becomes_one(capsys) -> None:
    code_of(failing(InputError("one\n  two")), "go")
    assert capsys.readouterr().err == "tool: one two\n"


def test_success_is_exit_code_0_and_says_its_result_on_standard_output(capsys) -> None:
    assert code_of(failing(None), "go", "--number", "7") == 0
    assert capsys.readouterr() == ("went 7\n", "")


@pytest.mark.parametrize("arguments", [["go", "--nonsense"], ["go", "--number", "many"], ["nothing"]])
def test_wrong_usage_is_exit_code_2_without_a_traceback(arguments, capsys) -> None:
    assert code_of(failing(None), *arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--debug", "go"], ["go", "--debug"]])
def test_debug_shows_where_it_happened_wherever_it_stands(arguments, capsys) -> None:
    assert code_of(failing(InputError("bad")), *arguments) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.endswith("tool: bad\n")


def test_the_environment_asks_for_tracebacks_too(monkeypatch, capsys) -> None:
    monkeypatch.setenv("TFVIZ_DEBUG", "1")
    code_of(failing(InputError("bad")), "go")
    assert "Traceback" in capsys.readouterr().err


def test_our_warnings_and_log_records_are_notes_and_others_are_hidden(tmp_path: Path) -> None:
    script = tmp_path / "speak.py"
    script.write_text(
        "import logging, os, sys, warnings\n"
        "from tfviz import console\n"
        "app = console.app('tool', 'Does something.')\n"
        "@app.command()\n"
        "def go() -> None:\n"
        "    logging.basicConfig()  # as libraries do\n"
        "    logging.getLogger('tfviz.models').warning('a record of ours')\n"
        "    logging.getLogger('firmware_tools.link').info('too quiet')\n"
        "    warnings.warn_explicit('a warning of ours', UserWarning, 'maps.py', 3, module='tfviz.maps')\n"
        "    warnings.warn_explicit('a warning of theirs', UserWarning, 'x.py', 3, module='keras.src.x')\n"
        "    warnings.warn_explicit('an old name', DeprecationWarning, 'maps.py', 3, module='tfviz.maps')\n"
        "    os.write(2, b'W0000 00:00 cpu_feature_guard.cc: noise from C++\\n')\n"
        "    sys.stderr.write('a word to the user\\n')\n"
        "@app.command()\n"
        "def other() -> None: ...\n"
        "console.run(app)\n"
    )
    done = subprocess.run([sys.executable, str(script), "go"], capture_output=True, text=True, check=True)
    assert done.stderr == "tool: note: a record of ours\ntool: note: a warning of ours\na word to the user\n"
    loud = subprocess.run([sys.executable, str(script), "go", "--debug"], capture_output=True, text=True, check=True)
    assert "noise from C++" in loud.stderr
    assert "tool: note: too quiet" in loud.stderr


def test_the_running_command_can_be_repeated_by_its_reader(capsys) -> None:
    application = console.app("tool", "Does something.")

    @application.command()
    def show(text: str) -> None:
        """Show."""
        console.say(f"{len(text)}: {console.command_line()}")

    @application.command()
    def other() -> None:
        """Another."""

    assert code_of(application, "show", "two words") == 0
    assert capsys.readouterr().out == "9: tool show 'two words'\n"


def test_nothing_is_left_behind_by_a_run(capsys) -> None:
    before = logging.getLogger("tfviz").handlers[:], warnings.filters[:], sys.stderr
    code_of(failing(InputError("bad")), "go")
    assert (logging.getLogger("tfviz").handlers[:], warnings.filters[:], sys.stderr) == before
    capsys.readouterr()


def test_a_table_aligns_names_left_and_numbers_right(capsys) -> None:
    console.table(["layer", "size"], [("conv", 8), ("a_longer_name", 12_000)])
    assert capsys.readouterr().out.splitlines() == [
        "layer           size",
        "conv               8",
        "a_longer_name  12000",
    ]


def test_progress_away_from_a_terminal_is_one_line(capsys) -> None:
    assert list(console.progress(range(3), "counting")) == [0, 1, 2]
    assert capsys.readouterr().err == "counting ...\n"


def test_progress_on_a_terminal_leaves_one_line_behind(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with console.step("training", total=10) as advance:
        advance(10, "epoch 1")
    last = capsys.readouterr().err.splitlines()[-1]
    assert "training: " in last
    assert last.endswith(" s")


def test_what_was_written_is_named_with_its_size(tmp_path: Path, capsys) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 1234)
    console.wrote(tmp_path / "a.txt")
    console.wrote(tmp_path)
    assert capsys.readouterr().out == f"wrote {tmp_path / 'a.txt'} (1.2 kB)\nwrote {tmp_path}/ (1 files)\n"
