"""A model as sources for a project of one's own: plain C with CMake, an Arduino library, or the link alone for TFLM.

    export.plain("dog.tflite", "dog")        dog_model.h, dog_model.c, nn/, example/main.c, CMakeLists.txt, README.md
    export.arduino("dog.tflite", "DogModel") library.properties, src/, examples/: runs it, and speaks the protocol
    export.tflm("tflm_link")                 the adapter for an existing TensorFlow Lite Micro firmware, and the link

What is written can be compiled as it is; nothing in it is fetched or generated later.
"""

import os
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware_tools import graph as graphs
from firmware_tools.build import ENGINE, LINK, zig
from firmware_tools.export.facts import Facts, facts
from tfviz.errors import InputError
from tfviz.files import write_text

if TYPE_CHECKING:
    import jinja2

__all__ = ["arduino", "plain", "tflm"]

_ARDUINO = "Arduino"
_PORTS = zig.FIRMWARE / "ports"


def plain(model: str | os.PathLike[str], out: str | os.PathLike[str]) -> list[Path]:
    """Write `model` as plain C99 into the folder `out`: one header to include, an example, CMake, a README.

    Returns what was written.

    Raises:
        InputError: no such model, an op that the engine lacks, or a folder that cannot be written.
    """
    known = facts(graphs.load(model), model)
    files = {**_model_files(known), **_rendered("plain", known)}
    return _write(files, Path(out))


def arduino(model: str | os.PathLike[str], out: str | os.PathLike[str]) -> list[Path]:
    """Write `model` as an Arduino library into the folder `out`; one of its two sketches speaks the protocol.

    Returns what was written.

    Raises:
        InputError: no such model, an op that the engine lacks, or a folder that cannot be written.
    """
    known = facts(graphs.load(model), model)
    files = {f"src/{name}": text for name, text in _model_files(known).items()}
    files |= {f"src/link/{name}": text for name, text in _link_files(ENGINE, _ARDUINO, known.most_outputs).items()}
    files |= {f"src/{path.name}": _text(path) for path in sorted((_PORTS / "arduino").iterdir())}
    files |= _rendered("arduino", known)
    return _write(files, Path(out))


def tflm(out: str | os.PathLike[str]) -> list[Path]:
    """Write the adapter for TensorFlow Lite Micro, with the link that it needs, into the folder `out`.

    Returns what was written.

    Raises:
        InputError: a folder that cannot be written.
    """
    files = {path.name: _text(path) for path in sorted((_PORTS / "tflm").iterdir())}
    files |= {f"link/{name}": text for name, text in _link_files("TensorFlow Lite Micro", "TFLM adapter", 8).items()}
    del files["link/serve.c"]  # the built-in engine's loop
    files |= {name: _text(_PORTS / "arduino" / name) for name in ("port_arduino.h", "port_arduino.cpp")}
    files["nn/nn.h"] = _text(zig.FIRMWARE / "nn" / "nn.h")
    return _write(files, Path(out))


def _write(files: Mapping[str, str], out: Path) -> list[Path]:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; a folder to write into is expected.")
    for name, text in files.items():
        write_text(out / name, text)
    return [out / name for name in files]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _model_files(known: Facts) -> dict[str, str]:
    """The generated C and the kernels that it calls in nn/, and the two files that an application sees."""
    folder = zig.FIRMWARE / "nn"
    kernels = [*known.sources.kernels, *sorted(path.name for path in folder.glob("*.h"))]
    files = {f"nn/{name}": _text(folder / name) for name in kernels}
    files |= {f"nn/{name}": text for name, text in known.sources.files.items()}
    return files | _rendered("common", known)


def _link_files(engine: str, build: str, outputs: int) -> dict[str, str]:
    """The link's sources with what a build would give as macros written into them."""
    version = metadata.version("tfviz")
    macros = {
        "about.c": f'#define LINK_ENGINE "{engine} {version}"\n#define LINK_BUILD "{build}"\n',
        "server.h": f"#define LINK_OUTPUTS {outputs}\n",
    }
    folder = zig.FIRMWARE / "link"
    names = [*LINK, *sorted(path.name for path in folder.glob("*.h"))]
    # Some boards' own libraries have a global function of this name.
    texts = {name: re.sub(r"\bcrc32\(", "link_crc32(", _text(folder / name)) for name in names}
    return {name: macros.get(name, "") + text for name, text in texts.items()}


def _rendered(group: str, known: Facts) -> dict[str, str]:
    """Each template of a group; `NAME` in a file's name is the model's."""
    templates = _environment()
    names = [name for name in templates.list_templates() if name.startswith(f"{group}/")]
    files = {}
    for name in names:
        target = name.removeprefix(f"{group}/").removesuffix(".j2").replace("NAME", known.name)
        files[target] = templates.get_template(name).render(vars(known) | {"known": known})
    return files


def _environment() -> "jinja2.Environment":
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("firmware_tools.export"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # C and Markdown; what comes from a model has been through `facts`
    )
    made.filters["thousands"] = _thousands
    return made


def _thousands(number: Any) -> str:
    return f"{number:,}"
