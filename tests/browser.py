"""A page in headless Chromium, for tests: run a script in it and read what it answers, with the console's errors."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)


def chromium() -> str:
    """Its path: `$CHROMIUM` or one of its usual names; skips the test where there is none."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on this machine (looked for $CHROMIUM, " + ", ".join(NAMES) + ")")
    return found


def open_page(page: Path, profile: Path, *extra: str, width: int = 1280, height: int = 900) -> tuple[str, list[str]]:
    """The DOM after the page has settled, and the console's lines."""
    command = [
        chromium(),
        *FLAGS,
        f"--user-data-dir={profile}",
        f"--window-size={width},{height}",
        "--virtual-time-budget=8000",
        *extra,
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def answer(page: Path, script: str, profile: Path, **options: Any) -> Any:
    """What `script`, the body of an async function, returns in the page (as JSON).

    The page's security policy lets no foreign script in, so this one is put into a copy without it.
    """
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    driver = (
        "<script>(async () => { let said; try { said = await (async () => {" + script + "})(); }"
        " catch (error) { said = { error: String(error) }; }"
        " const root = document.documentElement;"
        " root.setAttribute('data-answer', encodeURIComponent(JSON.stringify(said))); })();</script>"
    )
    copy = page.with_name(f"driven-{page.name}")
    copy.write_text(text.replace("</body>", driver + "</body>"), encoding="utf-8")
    dom, errors = open_page(copy, profile, **options)
    assert errors == []
    found = re.search(r'data-answer="([^"]*)"', dom)
    assert found is not None, "the script did not come to an end"
    said = json.loads(unquote(found[1]))
    assert not (isinstance(said, dict) and "error" in said), said
    return said
