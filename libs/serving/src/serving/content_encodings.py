"""gzip and deflate, in and out, with a bound on what a small body may unfold to."""

import zlib

from serving.problems import Problem, problem

__all__ = ["compress", "decompress", "preferred_encoding"]

_GZIP_WINDOW = 31
_ZLIB_WINDOW = 15
_RAW_WINDOW = -15
_ENCODINGS = {"gzip": _GZIP_WINDOW, "deflate": _ZLIB_WINDOW}
_LEVEL = 1
"""Level 6 takes three times as long for a tenth less on tensors."""


def decompress(body: bytes, encoding: str, bytes_max: int) -> bytes:
    """Unfold a request's body.

    Raises the 415 problem for another encoding, 400 where the body is not in it, 413 over `bytes_max`.
    """
    if encoding in {"", "identity"}:
        return body
    window = _ENCODINGS.get(encoding)
    if window is None:
        raise problem(Problem.MEDIA_TYPE, "Content encodings: gzip, deflate, identity.")
    if encoding == "deflate" and not _is_zlib(body):
        # RFC 9110 section 8.4.1.2: some send the deflate data without the zlib format around it.
        window = _RAW_WINDOW
    unfolding = zlib.decompressobj(window)
    try:
        unfolded = unfolding.decompress(body, bytes_max + 1)
    except zlib.error:
        raise problem(Problem.MALFORMED, "The body does not have the content encoding that it declares.") from None
    if len(unfolded) > bytes_max:
        raise problem(Problem.TOO_LARGE, f"At most {bytes_max} bytes.")
    if not unfolding.eof or unfolding.unused_data:
        raise problem(Problem.MALFORMED, "The body does not have the content encoding that it declares.")
    return unfolded


def compress(body: bytes, encoding: str) -> bytes:
    """Fold an answer's body: `gzip`, or `deflate` in the zlib format."""
    folding = zlib.compressobj(_LEVEL, zlib.DEFLATED, _ENCODINGS[encoding])
    return folding.compress(body) + folding.flush()


def preferred_encoding(accept_encoding: str) -> str | None:
    """Choose what an `Accept-Encoding` header allows: gzip before deflate, None for neither."""
    allowed = set()
    for entry in accept_encoding.lower().split(","):
        name, _, parameter = entry.partition(";")
        if parameter.strip().replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}:
            allowed.add(name.strip())
    return next((name for name in _ENCODINGS if name in allowed), None)


def _is_zlib(body: bytes) -> bool:
    return len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and (body[0] << 8 | body[1]) % 31 == 0
