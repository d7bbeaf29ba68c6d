"""What reading the log may raise.

UnreadableError    bytes that no message of the log consists of, or one of a form that this version does not know
"""

__all__ = ["UnreadableError"]


class UnreadableError(ValueError):
    """The bytes are no message of the log."""
