"""Records to HTML: one page that needs no network, no server and no other file."""

import base64
import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfviz.files import write_text
from tfviz.report.album import DIVERGING, SEQUENTIAL, Palette
from tfviz.report.views import Section

if TYPE_CHECKING:
    import jinja2


@functools.cache
def environment(*packages: str) -> "jinja2.Environment":
    """The templates of `tfviz.report` and of further packages; every value is escaped, an unknown name is an error."""
    import jinja2

    loaders = [jinja2.PackageLoader(package) for package in (*packages, "tfviz.report")]
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["gradients"] = {"sequential": _gradient(SEQUENTIAL), "diverging": _gradient(DIVERGING)}
    return made


def _gradient(colours: Palette) -> str:
    stops = ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in colours[::9].tolist())
    return f"linear-gradient(90deg, {stops})"


def section(
    template: str,
    anchor: str,
    title: str,
    *,
    packages: tuple[str, ...] = (),
    pictures: Mapping[str, str] | None = None,
    **values: Any,
) -> Section:
    """Render a template with these values as a section."""
    html = environment(*packages).get_template(template).render(**values)
    return Section(anchor, title, html, pictures or {})


def page(title: str, sections: Sequence[Section], *, footer: str = "") -> str:
    """The whole page as one string of HTML.

    A content security policy in its head forbids every request, so that what it shows is what the file holds. Pictures
    are kept once in a table and decoded when they come into view.

    Args:
        title: of the browser's tab.
        sections: in order; the first carries the headline.
        footer: what made the page.
    """
    pictures: dict[str, str] = {}
    for part in sections:
        pictures.update(part.pictures)
    templates = environment()
    script, style = (_asset(templates, name) for name in ("page.js", "page.css"))
    return templates.get_template("page.html.j2").render(
        title=title,
        sections=sections,
        pictures=pictures,
        style=style,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        footer=footer,
    )


def write_page(path: str | os.PathLike[str], title: str, sections: Sequence[Section], *, footer: str = "") -> None:
    """Write `page(...)`, whole or not at all."""
    write_text(path, page(title, sections, footer=footer))


def _asset(templates: "jinja2.Environment", name: str) -> str:
    """A file beside the templates, as it is."""
    assert templates.loader is not None
    return templates.loader.get_source(templates, name)[0].strip() + "\n"
