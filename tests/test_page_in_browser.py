"""The page in a real browser: nothing is fetched, nothing goes wrong, and what is chosen is shown."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import report_factory
from playwright.sync_api import Browser, Page, sync_playwright

from firmware_tools.report import write_report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"no Chromium here ($CHROMIUM, {', '.join(NAMES)})")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(report_factory.comparison(faulty_op=1), path)
    return path


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    """The report, open at its top with its first pictures decoded; fails if the console says anything."""
    said: list[str] = []
    # Playwright waits by evaluating in the page, which the page's own security policy forbids.
    page = browser.new_page(viewport={"width": 1280, "height": 900}, bypass_csp=True)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(report.as_uri())
    page.wait_for_function("document.querySelector('#op-0 .maps img').src.startsWith('data:image/png')")
    yield page
    page.close()
    assert said == []


def state(page: Page) -> dict[str, Any]:
    return page.evaluate(
        """() => ({
          maps: document.querySelector('#op-0 .maps img').src,
          words: document.querySelector('.shot:not([hidden]) h3').textContent.trim(),
          pressed: [...document.querySelectorAll('[aria-pressed=true]')].map((each) => each.dataset.choose),
        })"""
    )


def test_the_page_opens_with_its_verdict_and_no_broken_picture(page: Page) -> None:
    assert page.text_content("h1").strip() == "The board differs from the desktop, first in pool."
    pictures = "[...document.images].filter((each) => each.src)"
    page.wait_for_function(f"{pictures}.length > 10 && {pictures}.every((each) => each.complete)")
    assert page.evaluate(f"{pictures}.every((each) => each.naturalWidth > 0)")


def test_the_security_policy_lets_nothing_in_and_nothing_out(browser: Browser, report: Path) -> None:
    evil = report.with_name("evil.html")
    intruder = "<script>document.title = 'owned'</script><img src='http://127.0.0.1:9/x.png'></body>"
    evil.write_text(report.read_text().replace("</body>", intruder))
    page, said = browser.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.goto(evil.as_uri())
    assert page.title() != "owned"
    assert len([line for line in said if "Content Security Policy" in line]) == 2
    page.close()


def test_a_chosen_image_changes_the_pictures_and_the_words_of_every_layer(page: Page) -> None:
    before = state(page)
    page.click('[data-choose="1"] >> nth=0')
    page.wait_for_function("(old) => document.querySelector('#op-0 .maps img').src !== old", arg=before["maps"])
    after = state(page)
    assert after["maps"].startswith("data:image/png")
    assert before["words"].startswith("Says sit, and is right")
    assert after["words"].startswith("Says stand, but it is sit")
    assert (before["pressed"], after["pressed"]) == (["0", "0"], ["1", "1"])


def test_the_keyboard_chooses_images_and_layers(page: Page) -> None:
    def image_after(key: str) -> str:
        page.keyboard.press(key)
        return page.get_attribute(".shot:not([hidden])", "data-image")

    assert [image_after(key) for key in ("ArrowRight", "ArrowLeft", "ArrowLeft")] == ["1", "0", "2"]
    for key, layer in (("j", "op-0"), ("j", "op-1"), ("k", "op-0")):
        page.keyboard.press(key)
        page.wait_for_function("(id) => document.activeElement.id === id", arg=layer)


def test_a_channel_is_cut_out_of_every_engines_picture(page: Page) -> None:
    def zoomed(title: str) -> list[Any]:
        page.wait_for_function(
            "(title) => document.getElementById('zoom-title').textContent.trim().replace(/\\s+/g, ' ') === title"
            " && document.querySelectorAll('#zoom-panels canvas').length === 4",
            arg=title,
        )
        return page.evaluate(
            """() => [...document.querySelectorAll('#zoom-panels canvas')].map((each) =>
              [each.width, each.height, [...each.getContext('2d').getImageData(0, 0, 1, 1).data]])"""
        )

    page.click("#op-1 .maps >> nth=0", position={"x": 4, "y": 4})
    first = zoomed("1 pool, channel 0 of 8")
    heads = page.locator("#zoom-panels figcaption").all_text_contents()
    assert heads == ["Float", "Desktop int8", "Board int8", "Difference"]
    assert [size[:2] for size in first] == [[16, 16]] * 4
    # The planted fault is in channel 0 alone, at the first pixel: 2 LSB up, the red end of the difference's scale.
    assert first[3][2] == [133, 22, 43, 255]
    page.keyboard.press("ArrowRight")
    neutral = zoomed("1 pool, channel 1 of 8")[3][2][:3]
    assert max(neutral) - min(neutral) < 12
    assert min(neutral) > 225
    page.click("#zoom-close")
    assert page.evaluate("document.getElementById('zoom').open") is False


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_sticks_out_sideways_at_any_width(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    rail = page.evaluate("getComputedStyle(document.querySelector('.rail')).display")
    assert (rail == "none") == (width < 900)


def test_where_it_looks_is_whole_and_readable_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    """Three engines, the longest names: maps side by side, all figures seen without scrolling sideways."""
    comparison, looks = report_factory.looking("photographs-of-the-terrace/IMG_20260812_134455_HDR_edited.jpeg")
    write_report(comparison, tmp_path / "phone.html", looks=looks)
    said: list[str] = []
    page = browser.new_page(viewport={"width": 390, "height": 844}, bypass_csp=True)
    page.on("console", lambda message: said.append(message.text))
    page.goto((tmp_path / "phone.html").as_uri())
    page.locator("#gaze .gazes").scroll_into_view_if_needed()
    page.wait_for_function(
        "(each => each.length === 12 && each.every(one => one.complete && one.naturalWidth > 0))"
        "([...document.querySelectorAll('#gaze img')])"
    )
    boxes = page.evaluate(
        """() => [...document.querySelectorAll('#gaze h3, #gaze figure, #gaze figcaption, #gaze table, #gaze td')]
          .map((each) => [each.tagName, each.getBoundingClientRect(), each.scrollWidth - each.clientWidth])
          .map(([tag, box, hidden]) => [tag, box.left, box.right, box.top, hidden])"""
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert all(left >= 0 and right <= 390 and (hidden <= 0 or tag == "TABLE") for tag, left, right, _, hidden in boxes)
    figures = [(left, right, top) for tag, left, right, top, _ in boxes if tag == "FIGURE"]
    assert len(figures) == 6
    for row in (figures[:3], figures[3:]):
        assert len({top for _, _, top in row}) == 1
        assert all(right - left > 100 for left, right, _ in row)
    first = page.locator("#gaze tbody tr >> nth=0").locator("th, td").all_text_contents()
    assert first == ["rank correlation", "1.000", "0.990", "0.980"]
    sizes = page.evaluate(
        "[...document.querySelectorAll('#gaze *')].map((each) => parseFloat(getComputedStyle(each).fontSize))"
    )
    assert min(sizes) >= 12
    page.close()
    assert said == []


def test_light_and_dark_can_be_chosen(page: Page) -> None:
    seen = [page.evaluate("getComputedStyle(document.body).backgroundColor")]
    for _ in range(2):
        page.click("#theme")
        seen.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert seen[0] == seen[2] == "rgb(250, 250, 248)"
    assert seen[1] == "rgb(16, 19, 21)"
