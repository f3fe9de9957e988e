"""A camera that never ends, on loopback: JPEG images over HTTP, as network cameras send them."""

import contextlib
import http.server
import itertools
import threading
import time

import cv2
import numpy as np

SIZE = 96, 128
PERIOD = 60  # images, then they come again
BOUNDARY = "image"


@contextlib.contextmanager
def camera(rate=30):
    """Gives the URL of a square that moves over noise, `rate` images per second, to all who ask, until left."""
    images = [_draw(number) for number in range(PERIOD)]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
            self.end_headers()
            begun = time.monotonic()
            with contextlib.suppress(OSError):  # whoever watched has left
                for number, image in enumerate(itertools.cycle(images)):
                    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n"
                    self.wfile.write(head.encode() + image + b"\r\n")
                    time.sleep(max(0.0, begun + number / rate - time.monotonic()))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def _draw(number):
    image = np.random.default_rng(number).integers(0, 128, (*SIZE, 3), np.uint8)
    row, column = (2 * number) % (SIZE[0] - 16), (3 * number) % (SIZE[1] - 16)
    image[row : row + 16, column : column + 16] = 255
    return cv2.imencode(".jpg", image)[1].tobytes()
