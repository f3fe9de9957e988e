"""The page of `videorep demo` in a browser: a script chooses a video, sees its answer and lets it play."""

import pytest

aiohttp = pytest.importorskip("aiohttp")

import chromium  # noqa: E402
from demo_serving import FRAMES, serving, talk  # noqa: E402

pytestmark = pytest.mark.skipif(chromium.BINARY is None, reason="needs Chromium")
CHART = "document.querySelector('#rows svg')"


def test_a_chosen_video_is_answered_played_and_sought(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"a video")
    (tmp_path / "noise.mp4").write_bytes(b"no video")

    async def look(session):
        async with chromium.open_page(session, url) as page:
            await page.choose_file("#file", tmp_path / "a.mp4")
            await page.until("answered")
            told = await page.evaluate("$('told').innerText")
            assert " ".join(told.split()) == (
                "Bowling 0.600 Archery 0.300 Surfing 0.100 Most unusual at 1.0 s: surprise 7.5."
            )
            assert await page.evaluate("$('state').textContent") == "a.mp4: Bowling."
            assert await page.evaluate("rows.map(row => row.number)") == [1, 0, 2, -1]
            assert await page.evaluate("$('found').innerText.split('\\n')[0]") == "Bowling"
            await page.until(f"!playing && position === {FRAMES - 1}")  # it has played to its end
            await page.evaluate("$('seek').focus()")
            await page.press("Home", 36)
            await page.until("position === 0")
            await page.until("rows[0].value.textContent === '0.90'")
            await page.evaluate(f"{CHART}.scrollIntoView()")
            box = await page.evaluate(f"{CHART}.getBoundingClientRect().toJSON()")
            await page.press_mouse(box["left"] + box["width"] / 2, box["top"] + 9)
            await page.until(f"position === {FRAMES // 2 - 1}")
            await page.until("$('picture').getContext('2d').getImageData(0, 40, 1, 1).data[2] > 50")  # dark blue
            for width in (1280, 390):
                await page.resize(width, 900)
                assert await page.evaluate("document.documentElement.scrollWidth") <= width
            await page.choose_file("#file", tmp_path / "noise.mp4")
            await page.until("$('state').textContent === 'No answer for noise.mp4: unreadable.'")
            assert not page.complaints

    with serving() as url:
        talk(look)
