"""What goes between a worker process and its parent: pickled values with large bytes beside them. No TensorFlow."""

import pickle
import socket
import struct
import time

SIZES = struct.Struct("<QQ")  # of a message: its pickled value and its payload; a sign of life has neither
BEAT_SECONDS = 1.0


def send_message(connection, value, payload=b""):
    """Sends a value and bytes, which travel faster for not being part of it."""
    message = pickle.dumps(value)
    connection.sendall(SIZES.pack(len(message), len(payload)) + message)
    connection.sendall(payload)


def receive_message(connection):
    """(value, payload), or None for a sign of life; EOFError if the other end is gone."""
    sizes = SIZES.unpack(_read(connection, SIZES.size))
    if sizes == (0, 0):
        return None
    message, payload = (_read(connection, size) for size in sizes)
    return pickle.loads(message), payload


def _read(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data), socket.MSG_WAITALL)
        if not part:
            raise EOFError
        data = data + part if data else part
    return data


class Pulse:
    """Tells the parent, at most once a second, that this process is alive; `send` hands it a part of the result."""

    def __init__(self, connection):
        self._connection, self._told_at = connection, time.monotonic()

    def __call__(self):
        now = time.monotonic()
        if now - self._told_at >= BEAT_SECONDS:
            self._told_at = now
            self._connection.sendall(SIZES.pack(0, 0))

    def send(self, value, payload):
        """Waits until the parent has room for it."""
        send_message(self._connection, (False, value), payload)
