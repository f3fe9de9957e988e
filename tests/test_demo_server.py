"""The server of `videorep demo` takes one video after another, whole and of no size, and no stranger's names."""

import asyncio
import io
import socket
import struct
import tempfile
from pathlib import Path

import pytest

aiohttp = pytest.importorskip("aiohttp")

from demo_serving import CLASSES, FRAMES, MadeUpAnswers, ask, serving, talk  # noqa: E402


@pytest.fixture
def uploads(tmp_path, monkeypatch):
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def url(uploads):
    with serving() as url:
        yield url


def test_what_is_told_arrives_line_by_line(url, uploads):
    status, told = talk(lambda session: ask(session, url, b"a video"))
    kinds = [next(iter(each)) for each in told]
    assert status == 200 and kinds == ["length", *["time"] * FRAMES, "seen", "classes"]
    assert told[-1]["classes"][0] == {"label": CLASSES[1], "probability": 0.6}
    assert talk(lambda session: ask(session, url, b"no video")) == (200, [{"reason": "unreadable"}])
    assert list(uploads.iterdir()) == []


def test_what_is_too_large_is_refused_with_or_without_a_length(url, uploads):
    async def pieces():
        for _ in range(12):
            yield bytes(100_000)

    for make in (lambda: io.BytesIO(bytes(1_200_000)), pieces):
        assert talk(lambda session, make=make: ask(session, url, make())) == (413, [{"reason": "larger than 1 MB"}])
    assert talk(lambda session: ask(session, url, bytes(1_000_000)))[0] == 200
    assert list(uploads.iterdir()) == []


def test_names_lead_nowhere(uploads):
    class Where(MadeUpAnswers):
        def answer(self, path):
            yield {"reason": path}

    name = "../../escaped.mp4"

    async def send(session):
        form = aiohttp.FormData()
        form.add_field("file", b"a video", filename=name)
        plain = await ask(session, url, b"a video", headers={"Content-Disposition": f'attachment; filename="{name}"'})
        return [plain, await ask(session, url, form)]

    async def get(session):
        for path in ("../../../etc/passwd", "..%2f..%2fetc%2fpasswd", f"videos/{name}"):
            async with session.get(aiohttp.client.URL(url + path, encoded=True)) as response:
                assert response.status in (404, 405)

    with serving(Where()) as url:
        for status, [told] in talk(send):
            assert status == 200 and told["reason"].startswith(str(uploads)) and told["reason"].endswith("/video")
        talk(get)
    assert list(uploads.iterdir()) == []


def test_two_at_once_are_answered_one_after_another_and_the_ninth_is_refused(uploads):
    class Counting(MadeUpAnswers):
        at_once = most = 0

        def answer(self, path):
            Counting.at_once += 1
            Counting.most = max(Counting.most, Counting.at_once)
            yield from super().answer(path)
            Counting.at_once -= 1

    async def many(session):
        return await asyncio.gather(*(ask(session, url, b"a video") for _ in range(9)))

    with serving(Counting()) as url:
        told = talk(many)
    answered = [lines for status, lines in told if status == 200]
    [(refused, [reason])] = [each for each in told if each[0] != 200]
    assert sorted(lines[0].get("waiting", 0) for lines in answered) == list(range(8)) and Counting.most == 1
    assert len({str(lines[-1]) for lines in answered}) == 1
    assert refused == 503 and reason["reason"].startswith("8 videos are waiting")


def test_a_browser_that_is_closed_holds_nobody_up(uploads):
    closed = []

    class Endless(MadeUpAnswers):
        def answer(self, path):
            try:
                while Path(path).read_bytes() == b"endless":
                    yield {"length": 1}
                yield {"reason": "it is my turn"}
            finally:
                closed.append(path)

    async def leave(session):
        async with session.post(f"{url}videos", data=b"endless") as response:
            await response.content.readline()
            response.close()
        return await ask(session, url, b"another")

    with serving(Endless()) as url:
        assert talk(leave)[1][-1] == {"reason": "it is my turn"}
    assert len(closed) == 2 and list(uploads.iterdir()) == []


def test_browsers_that_break_off_are_no_fault(uploads, caplog):
    class Slow(MadeUpAnswers):
        def answer(self, path):
            for _ in range(20):
                yield {"picture": "x" * 1_000_000}
            yield {"reason": "it is my turn"}

    with serving(Slow()) as url:
        address = ("127.0.0.1", int(url.split(":")[-1].strip("/")))
        for sent, read in ((b"whole", 100), (b"whole", 0), (b"whol", 0)):
            with socket.create_connection(address) as browser:
                browser.sendall(b"POST /videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n" + sent)
                browser.recv(read)
                browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # aborts at once
        assert talk(lambda session: ask(session, url, b"another"))[1][-1] == {"reason": "it is my turn"}
    assert [record.getMessage() for record in caplog.records if record.name.startswith("aiohttp")] == []
    assert list(uploads.iterdir()) == []


def test_pages_of_others_are_refused(url):
    port = url.split(":")[-1].strip("/")

    async def statuses(session):
        made = []
        for host, origin in (
            (f"localhost:{port}", None), (f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"), ("[::1]", None),
            ("evil.example", None), (f"evil.example:{port}", f"http://evil.example:{port}"), ("[::1", None),
            (f"127.0.0.1:{port}", "http://evil.example"), (f"127.0.0.1:{port}", "null"),
        ):  # fmt: skip
            headers = {"Host": host} | ({"Origin": origin} if origin else {})
            async with session.get(url, headers=headers) as response:
                made.append(response.status)
        return made

    assert talk(statuses) == [200] * 3 + [403] * 5


def test_the_page_runs_nothing_but_its_own_script(url):
    async def page(session):
        async with session.get(url) as response:
            return response.headers["Content-Security-Policy"], await response.text()

    (policy, text), (other, _) = talk(page), talk(page)
    [nonce] = {part.split('"')[1] for part in text.split("nonce=")[1:]}
    assert f"script-src 'nonce-{nonce}'" in policy and "default-src 'none'" in policy and policy != other
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text
