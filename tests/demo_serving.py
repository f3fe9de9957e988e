"""The server of `videorep demo` in a thread, with answers that cost nothing, and whoever asks it."""

import asyncio
import base64
import contextlib
import json
import queue
import threading
from pathlib import Path

import cv2
from generated_videos import numbered_frame

CLASSES, FRAMES, RATE = ("Archery", "Bowling", "Surfing"), 40, 20
FACTS = {"runs": ["rgb", "predictor"], "blocks": [16], "surprising": True, "most_frames": 3000}


class MadeUpAnswers:
    """In place of an `Answerer`: says "no video" of what begins so, tells anything else the same."""

    classes = CLASSES

    def answer(self, path):
        if Path(path).read_bytes().startswith(b"no video"):
            yield {"reason": "unreadable"}
            return
        yield {"length": FRAMES / RATE}
        for number in range(FRAMES):
            first = number / FRAMES
            yield {
                "time": number / RATE,
                "probabilities": [round(first, 3), round(0.9 - 0.9 * first, 3), 0.1],
                "surprise": None if number < 8 else (7.5 if number == 20 else 0.5),
                "picture": picture(numbered_frame(number)),
            }
        yield {"seen": FRAMES}
        chances = (("Bowling", 0.6), ("Archery", 0.3), ("Surfing", 0.1))
        classes = [{"label": label, "probability": chance} for label, chance in chances]
        similar = {"similarity": 0.987, "path": "a.avi", "label": "Bowling", "picture": picture(numbered_frame(1))}
        yield {"classes": classes, "similar": [similar, similar | {"label": "", "picture": None}], "reason": ""}


def picture(image):
    """A frame as the page takes it."""
    return "data:image/jpeg;base64," + base64.b64encode(cv2.imencode(".jpg", image)[1].tobytes()).decode()


@contextlib.contextmanager
def serving(answerer=None, most_bytes=1_000_000):
    """The URL of the page; the answers are those of `MadeUpAnswers` unless given."""
    from videorep.demo.server import DemoServer, listen

    stop, told = [], queue.SimpleQueue()
    server = DemoServer(answerer or MadeUpAnswers(), most_bytes, FACTS)
    thread = threading.Thread(target=listen, args=(server, "127.0.0.1", 0, stop, told.put))
    thread.start()
    try:
        yield told.get(timeout=60)
    finally:
        stop.append(True)
        thread.join()


def talk(conversation):
    """Runs a coroutine function with an `aiohttp.ClientSession`."""
    import aiohttp

    async def run():
        async with aiohttp.ClientSession() as session:
            return await conversation(session)

    return asyncio.run(run())


async def ask(session, url, data, **options):
    """The status and the lines of the answer to a video of these bytes."""
    async with session.post(f"{url}videos", data=data, **options) as response:
        return response.status, [json.loads(line) for line in (await response.read()).splitlines()]
