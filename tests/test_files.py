"""Files are written whole or not at all."""

import os
import stat

import pytest

from tfviz.errors import InputError
from tfviz.files import whole_file, write_bytes, write_text


def test_a_file_appears_whole_with_its_folders_and_usual_rights(tmp_path):
    path = tmp_path / "new" / "folder" / "page.html"
    write_text(path, "schön\n")
    assert path.read_bytes() == "schön\n".encode()
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "model.bin"
    write_bytes(path, b"old")

    def write_half() -> None:
        with whole_file(path) as temporary:
            temporary.write_bytes(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.bin"]


def test_a_folder_that_cannot_be_made_is_named_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"Cannot write .*file"):
        write_text(tmp_path / "file" / "page.html", "x")
