"""Sends one long Arrow stream of ids and reads the scores as they come; prints the rate of each tenth as JSON.

A process of its own on the load's core. Arguments: port, rows, rows a batch; the API key in `OFFERS_API_KEY`.
"""

import http.client
import io
import itertools
import json
import os
import socket
import sys
import threading
import time

import pyarrow as pa

from bench.dataset import ENTITY, entity_ids
from bench.requests import ARROW

__all__: list[str] = []

TENTHS = 10
TIMEOUT_SECONDS = 600.0


class ChunkedWriter(io.RawIOBase):
    """A file that sends what is written to it as HTTP chunks."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__()
        self._socket = connected

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: object) -> int:
        """Send one chunk."""
        sent = bytes(memoryview(data))  # type: ignore[arg-type]  # whatever Arrow hands over is a buffer
        if sent:
            self._socket.sendall(b"%x\r\n%b\r\n" % (len(sent), sent))
        return len(sent)


def send(connected: socket.socket, rows: int, known: int, batch_rows: int) -> None:
    """Send all batches and the end of the body."""
    schema = pa.schema([(ENTITY, pa.string())])
    with pa.ipc.new_stream(pa.PythonFile(ChunkedWriter(connected), "w"), schema) as writer:
        for start in range(0, rows, batch_rows):
            first = start % known
            writer.write_batch(pa.record_batch({ENTITY: pa.array(entity_ids(first, first + batch_rows))}))
    connected.sendall(b"0\r\n\r\n")


def main() -> None:
    """Run one stream."""
    port, rows, known, batch_rows = (int(argument) for argument in sys.argv[1:])
    connected = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
    head = (
        f"POST /v1/score/bulk HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {ARROW}\r\nAccept: {ARROW}\r\n"
        f"X-API-Key: {os.environ['OFFERS_API_KEY']}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    connected.sendall(head.encode())
    sender = threading.Thread(target=send, args=(connected, rows, known, batch_rows), daemon=True)
    started = time.perf_counter()
    sender.start()
    response = http.client.HTTPResponse(connected, method="POST")
    response.begin()
    if response.status != 200:
        raise RuntimeError(f"{response.status}: {response.read()[:500]!r}")
    received = 0
    marks = [(0, started)]
    for batch in pa.ipc.open_stream(response):
        received += batch.num_rows
        if received * TENTHS >= rows * len(marks):
            marks.append((received, time.perf_counter()))
    sender.join(TIMEOUT_SECONDS)
    rates = [(stop - start) / (ended - begun) for (start, begun), (stop, ended) in itertools.pairwise(marks)]
    seconds = marks[-1][1] - started
    print(json.dumps({"rows": received, "seconds": seconds, "rates": rates}))  # noqa: T201


if __name__ == "__main__":
    main()
