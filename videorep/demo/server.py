"""Listens for browsers: gives them the page, takes their videos one at a time, tells what is made of them."""

import asyncio
import concurrent.futures
import contextlib
import ipaddress
import json
import secrets
import socket
import tempfile
import urllib.parse
from pathlib import Path

import jinja2
from aiohttp import web

from videorep.errors import ServerError

POLL = 0.2  # seconds between looks at whether to stop
MOST_WAITING = 8  # videos that are here at once, on the disk
CHUNK = 1 << 20
LINES = "application/x-ndjson"
PAGE = jinja2.Environment(loader=jinja2.PackageLoader("videorep", "demo"), autoescape=True).get_template("page.html.j2")
POLICY = (
    "default-src 'none'; connect-src 'self'; img-src data:; script-src 'nonce-{0}'; style-src 'nonce-{0}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def listen(server, host, port, stop, tell):
    """Answers browsers at `host`:`port` (0: a free one) until there is something in the list `stop`.

    Args:
        server: A `DemoServer`.
        tell: Is told the address of the page, once it can be opened.
    Raises:
        ServerError: the address is taken or not this machine's.
    """
    asyncio.run(_listen(server, host, port, stop, tell))


async def _listen(server, host, port, stop, tell):
    runner = web.AppRunner(server.application(host), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise ServerError(
                f"expected to listen on {host}, port {port}, received: {error.strerror or error}; choose others with "
                "--host and --port"
            ) from error
        name, port = runner.addresses[0][:2]
        tell(f"http://{f'[{name}]' if ':' in name else name}:{port}/")
        while not stop:
            await asyncio.sleep(POLL)
    finally:
        await runner.cleanup()


class DemoServer:
    """What browsers get: the page, and for a video that they send (the body of a POST) what an `Answerer` tells of it.

    The answer to a POST is a line of JSON for everything that is told, see `Answerer.answer`; before them {"waiting":
    videos that come first} where there are some. All computing is done by one thread.

    Args:
        answerer: An `Answerer`.
        most_bytes: Of a video.
        facts: What else the template of the page takes.
    """

    def __init__(self, answerer, most_bytes, facts):
        self._answerer, self._most_bytes, self._facts = answerer, most_bytes, facts
        self._turn, self._here, self._whole = asyncio.Lock(), 0, 0  # videos: here at all, here to their end
        self._thread = concurrent.futures.ThreadPoolExecutor(1)

    def application(self, host):
        """The `aiohttp.web.Application`, for browsers that reach this machine as `host`."""

        @web.middleware
        async def guard(request, handler):
            if not is_own_name(request.host, host):
                return _refuse(403, f"expected the address of this machine, received {request.host}")
            origin = request.headers.get("Origin")
            if origin is not None and urllib.parse.urlsplit(origin).netloc != request.host:
                return _refuse(403, f"expected a request of this page, received one of {origin}")
            return await handler(request)

        application = web.Application(middlewares=[guard])
        application.add_routes([web.get("/", self._page), web.post("/videos", self._take)])
        application.on_response_prepare.append(_protect)
        return application

    async def _page(self, request):
        nonce = secrets.token_urlsafe(16)
        values = {"nonce": nonce, "classes": self._answerer.classes, "most_bytes": self._most_bytes} | self._facts
        headers = {"Content-Security-Policy": POLICY.format(nonce)}
        return web.Response(text=PAGE.render(values), content_type="text/html", headers=headers)

    async def _take(self, request):
        if self._here >= MOST_WAITING:
            return _refuse(503, f"{self._here} videos are waiting already; try again later")
        self._here += 1
        try:
            with tempfile.TemporaryDirectory(prefix="videorep-demo-") as folder:
                path = Path(folder) / "video"
                if not await self._receive(request, path):
                    return _refuse(413, f"larger than {self._most_bytes / 1e6:,.0f} MB")
                response = web.StreamResponse(headers={"Content-Type": LINES})
                await response.prepare(request)
                if self._whole:
                    await _write(response, {"waiting": self._whole})
                self._whole += 1
                try:
                    async with self._turn:
                        await self._answer(response, path)
                finally:
                    self._whole -= 1
                return response
        except ConnectionError:  # the browser has gone away, which is no fault of anybody's: this is sent to nobody
            return web.Response()
        finally:
            self._here -= 1

    async def _receive(self, request, path):
        """Writes the video to a file; False where it is too large."""
        if (request.content_length or 0) > self._most_bytes:
            return False
        left = self._most_bytes
        with open(path, "wb") as file:
            async for chunk in request.content.iter_chunked(CHUNK):
                left -= len(chunk)
                if left < 0:
                    return False
                file.write(chunk)
        return True

    async def _answer(self, response, path):
        """Writes what is told of a video; whoever has gone by then is told no more."""
        run, told = asyncio.get_running_loop().run_in_executor, self._answerer.answer(str(path))
        try:
            while (each := await run(self._thread, next, told, None)) is not None:
                await _write(response, each)
        finally:
            await run(self._thread, told.close)


def is_own_name(address, host):
    """Whether the Host that a browser sends can be no stranger's name for this machine (DNS rebinding).

    Numbers are nobody's names; besides them localhost, `host`, and what the machine calls itself.
    """
    try:
        name = urllib.parse.urlsplit(f"//{address}").hostname or ""
    except ValueError:
        return False
    if name in {"localhost", host.lower(), socket.gethostname().lower()}:
        return True
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return False


async def _protect(request, response):
    """Headers of every answer."""
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'")
    response.headers["X-Content-Type-Options"], response.headers["Cache-Control"] = "nosniff", "no-store"


async def _write(response, told):
    await response.write(json.dumps(told).encode() + b"\n")


def _refuse(status, reason):
    return web.Response(text=json.dumps({"reason": reason}) + "\n", content_type=LINES, status=status)
