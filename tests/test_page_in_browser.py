"""The page in a real browser: nothing is fetched, nothing goes wrong, and what is chosen is shown."""

import json
import re
from pathlib import Path

import pytest
import report_factory
from browser import answer, chromium, open_page

from firmware_tools.report import write_report

WAIT = "const wait = (ms) => new Promise((done) => setTimeout(done, ms)); await wait(600);"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chromium()
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(report_factory.comparison(faulty_op=1), path)
    return path


def test_the_page_opens_without_a_console_error_or_a_broken_picture(page: Path, tmp_path: Path) -> None:
    dom, console = open_page(page, tmp_path / "profile")
    assert console == []
    assert "<h1>The board differs from the desktop, first in pool.</h1>" in dom
    shown = re.findall(r'<img[^>]* src="(data:image/(?:png|svg\+xml);base64,[^"]+)"', dom)
    assert len(shown) > 10


def test_the_security_policy_lets_nothing_in_and_nothing_out(page: Path, tmp_path: Path) -> None:
    evil = page.with_name("evil.html")
    intruder = "<script>document.title = 'owned'</script><img src='http://127.0.0.1:9/x.png'></body>"
    evil.write_text(page.read_text().replace("</body>", intruder))
    dom, console = open_page(evil, tmp_path / "profile")
    assert "<title>owned</title>" not in dom
    assert len([line for line in console if "Content Security Policy" in line]) == 2


def test_a_chosen_image_changes_the_pictures_and_the_words_of_every_layer(page: Path, tmp_path: Path) -> None:
    said = answer(
        page,
        WAIT
        + """
        const state = () => ({
          maps: document.querySelector('#op-0 .maps img').src,
          words: document.querySelector('.shot:not([hidden]) h3').textContent.trim(),
          pressed: [...document.querySelectorAll('[aria-pressed=true]')].map((each) => each.dataset.choose),
        });
        const before = state();
        document.querySelector('[data-choose="1"]').click();
        await wait(300);
        return [before, state()];
        """,
        tmp_path / "profile",
    )
    before, after = said
    assert before["maps"].startswith("data:image/png")
    assert after["maps"].startswith("data:image/png")
    assert before["maps"] != after["maps"]
    assert before["words"].startswith("Says sit, and is right")
    assert after["words"].startswith("Says stand, but it is sit")
    assert (before["pressed"], after["pressed"]) == (["0", "0"], ["1", "1"])


def test_the_keyboard_chooses_images_and_layers(page: Path, tmp_path: Path) -> None:
    said = answer(
        page,
        WAIT
        + """
        const hit = (key) => document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
        const seen = [];
        hit('ArrowRight'); seen.push(document.querySelector('.shot:not([hidden])').dataset.image);
        hit('ArrowLeft'); hit('ArrowLeft'); seen.push(document.querySelector('.shot:not([hidden])').dataset.image);
        hit('j'); await wait(200); seen.push(document.activeElement.id);
        hit('j'); await wait(200); seen.push(document.activeElement.id);
        hit('k'); await wait(200); seen.push(document.activeElement.id);
        return seen;
        """,
        tmp_path / "profile",
    )
    assert said == ["1", "2", "op-0", "op-1", "op-0"]


def test_a_channel_is_cut_out_of_every_engines_picture(page: Path, tmp_path: Path) -> None:
    said = answer(
        page,
        WAIT
        + """
        const button = document.querySelector('#op-1 .maps');
        button.click();
        await wait(400);
        const read = () => ({
          title: document.getElementById('zoom-title').textContent.trim().replace(/\\s+/g, ' '),
          heads: [...document.querySelectorAll('#zoom-panels figcaption')].map((each) => each.textContent),
          pixels: [...document.querySelectorAll('#zoom-panels canvas')].map(
            (each) => [each.width, each.height, [...each.getContext('2d').getImageData(0, 0, 1, 1).data]]),
        });
        const first = read();
        document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));
        await wait(400);
        const second = read();
        document.getElementById('zoom-close').click();
        return [first, second, document.getElementById('zoom').open];
        """,
        tmp_path / "profile",
    )
    first, second, still_open = said
    assert first["title"] == "1 pool, channel 0 of 8"
    assert second["title"] == "1 pool, channel 1 of 8"
    assert first["heads"] == ["Float", "Desktop int8", "Board int8", "Difference"]
    assert [size[:2] for size in first["pixels"]] == [[16, 16]] * 4
    # The planted fault is in channel 0 alone, at the first pixel: 2 LSB up, the red end of the difference's scale.
    assert first["pixels"][3][2] == [133, 22, 43, 255]
    neutral = second["pixels"][3][2][:3]
    assert max(neutral) - min(neutral) < 12
    assert min(neutral) > 225
    assert still_open is False


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_sticks_out_sideways_at_any_width(page: Path, tmp_path: Path, width: int) -> None:
    inside = json.dumps(re.sub(r"<meta http-equiv[^>]*>", "", page.read_text())).replace("</", "<\\/")
    outside = page.with_name(f"frame-{width}.html")  # a window of headless Chromium is never narrower than 500 pixels
    outside.write_text("<!doctype html><html><body></body></html>")
    said = answer(
        outside,
        f"""
        const frame = document.createElement('iframe');
        frame.style = 'width:{width}px;height:800px;border:0';
        frame.srcdoc = {inside};
        document.body.append(frame);
        await new Promise((done) => frame.addEventListener('load', done));
        const root = frame.contentDocument.documentElement;
        const rail = getComputedStyle(root.querySelector('.rail'));
        return [root.scrollWidth, frame.contentWindow.innerWidth, rail.display];
        """,
        tmp_path / "profile",
    )
    assert said[0] == said[1] == width
    assert (said[2] == "none") == (width < 900)


def test_light_and_dark_can_be_chosen(page: Path, tmp_path: Path) -> None:
    said = answer(
        page,
        """
        const paper = () => getComputedStyle(document.body).backgroundColor;
        const seen = [paper()];
        for (let i = 0; i < 2; i += 1) { document.getElementById('theme').click(); seen.push(paper()); }
        return seen;
        """,
        tmp_path / "profile",
    )
    assert said[0] == said[2] == "rgb(250, 250, 248)"
    assert said[1] == "rgb(16, 19, 21)"
