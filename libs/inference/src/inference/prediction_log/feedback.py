"""Messages of feedback: what happened after a prediction."""

import msgspec

from inference.prediction_log.errors import UnreadableError

__all__ = ["Feedback", "decode_feedback", "encode_feedback"]

_FORM = b"F1"


class Feedback(msgspec.Struct, frozen=True, array_like=True):
    """One outcome. Times are microseconds since the epoch."""

    prediction_id: str
    outcome: float
    """A yes is 1, a no is 0."""
    observed_at_us: int
    received_at_us: int
    caller: str


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Feedback])


def encode_feedback(rows: list[Feedback]) -> bytes:
    """Make one message."""
    return _FORM + _encoder.encode(rows)


def decode_feedback(message: bytes) -> list[Feedback]:
    """Read a message. Raises `UnreadableError`."""
    if message[:2] != _FORM:
        raise UnreadableError("no message of feedback")
    try:
        return _decoder.decode(memoryview(message)[2:])
    except msgspec.DecodeError as error:
        raise UnreadableError("a message of feedback that is damaged") from error
