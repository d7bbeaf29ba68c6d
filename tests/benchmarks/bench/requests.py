"""Requests to our service, encoded beforehand."""

from collections.abc import Sequence

import orjson
import pyarrow as pa

from bench.dataset import ENTITY
from bench.load import encode_request
from bench.peers import ids_of

__all__ = ["ARROW", "arrow_bulk", "json_bulk", "single"]

ARROW = "application/vnd.apache.arrow.stream"


def single(entity: int, key: str) -> bytes:
    """Score one entity by id."""
    body = orjson.dumps({ENTITY: ids_of([entity])[0]})
    return encode_request("POST", "/v1/score", body, headers=f"X-API-Key: {key}\r\n")


def json_bulk(entities: Sequence[int], key: str) -> bytes:
    """Score many by id, JSON in and out."""
    body = orjson.dumps({f"{ENTITY}s": ids_of(entities)})
    return encode_request("POST", "/v1/score/bulk", body, headers=f"X-API-Key: {key}\r\n")


def arrow_bulk(entities: Sequence[int], key: str) -> bytes:
    """Score many by id, Arrow stream in and out."""
    batch = pa.record_batch({ENTITY: pa.array(ids_of(entities))})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    headers = f"X-API-Key: {key}\r\nAccept: {ARROW}\r\n"
    return encode_request("POST", "/v1/score/bulk", sink.getvalue().to_pybytes(), content_type=ARROW, headers=headers)
