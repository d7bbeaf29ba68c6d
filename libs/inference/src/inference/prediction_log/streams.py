"""Where the messages pass through Redis: one stream a service and kind, `<project>:<kind>:<service>`.

An entry has the fields `m`, the message, and `n`, its rows.
"""

from typing import Final

__all__ = ["FEEDBACK", "MESSAGE_FIELD", "PREDICTIONS", "ROWS_FIELD", "stream_key"]

PREDICTIONS: Final = "predictions"
FEEDBACK: Final = "feedback"
MESSAGE_FIELD: Final = b"m"
ROWS_FIELD: Final = b"n"


def stream_key(project: str, kind: str, service: str) -> str:
    """Name the stream of a service."""
    return f"{project}:{kind}:{service}"
