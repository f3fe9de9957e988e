"""Drives a headless Chromium over its DevTools protocol, with the client of aiohttp alone."""

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWITCHES = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars")


class Page:
    """An open page; `complaints` are what its console and its scripts complain of."""

    def __init__(self, socket):
        self._socket, self._numbers, self.complaints = socket, itertools.count(1), []

    async def call(self, method, **parameters):
        """Calls a method of the protocol; its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            told = await self._socket.receive_json(timeout=120)
            if told.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(told["params"]))
            if told.get("id") == number:
                assert "error" not in told, told
                return told["result"]

    async def evaluate(self, expression):
        """The value of an expression of JavaScript; of a promise what it holds."""
        told = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, expression, seconds=120):
        """Waits until an expression is true; gives its value."""
        end = time.monotonic() + seconds
        while not (value := await self.evaluate(expression)):
            assert time.monotonic() < end, f"{expression} is still {value}; {self.complaints}"
            await asyncio.sleep(0.1)
        return value

    async def resize(self, width, height, dark=False):
        """Has the window so many pixels, and the user like light or dark pages."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def choose_file(self, selector, path):
        """Puts a file into an <input type=file>, as a user does."""
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.call("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        await self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    async def press(self, key, number):
        """Presses a key, of which Windows has this number."""
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=number)

    async def press_mouse(self, x, y):
        """Presses the left button there."""
        where = {"x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
        await self.call("Input.dispatchMouseEvent", type="mousePressed", **where)

    async def write_screenshot(self, path):
        """Writes the whole page as a PNG."""
        size = (await self.call("Page.getLayoutMetrics"))["cssContentSize"]
        picture = await self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=size | {"scale": 1})
        Path(path).write_bytes(base64.b64decode(picture["data"]))


@contextlib.asynccontextmanager
async def open_page(session, url):
    """Starts Chromium and opens a `Page` in it; `session` is an `aiohttp.ClientSession`."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        command = [BINARY, *SWITCHES, f"--user-data-dir={folder}", "--remote-debugging-port=0", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            told = Path(folder) / "DevToolsActivePort"
            while not (told.exists() and told.read_text().count("\n")):
                assert process.poll() is None
                await asyncio.sleep(0.1)
            async with session.get(f"http://127.0.0.1:{told.read_text().split()[0]}/json/list") as response:
                [address] = [each["webSocketDebuggerUrl"] for each in await response.json() if each["type"] == "page"]
            async with session.ws_connect(address, max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Page", "Runtime", "Log"):
                    await page.call(f"{domain}.enable")
                await page.call("Page.navigate", url=url)
                await page.until(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")
                yield page
        finally:
            process.terminate()
            process.wait(timeout=30)
