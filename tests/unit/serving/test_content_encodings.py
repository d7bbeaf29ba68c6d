"""gzip and deflate, in and out."""

import gzip
import zlib

import pytest

from serving.content_encodings import compress, decompress, preferred_encoding
from serving.problems import ProblemError

BODY = b"some text " * 100


def raw_deflate(body: bytes) -> bytes:
    folding = zlib.compressobj(wbits=-15)
    return folding.compress(body) + folding.flush()


@pytest.mark.parametrize(
    ("encoding", "folded"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
        ("gzip", compress(BODY, "gzip")),
        ("deflate", compress(BODY, "deflate")),
    ],
)
def test_every_form_unfolds_to_the_body(encoding: str, folded: bytes) -> None:
    assert decompress(folded, encoding, len(BODY)) == BODY


@pytest.mark.parametrize(
    ("encoding", "folded", "status"),
    [
        ("br", BODY, 415),
        ("gzip", BODY, 400),
        ("gzip", b"", 400),
        ("gzip", gzip.compress(BODY, mtime=0)[:-1], 400),
        ("gzip", gzip.compress(BODY, mtime=0) + b"more", 400),
        ("deflate", BODY, 400),
        ("gzip", gzip.compress(BODY + b"x", mtime=0), 413),
    ],
)
def test_what_does_not_unfold_is_a_problem(encoding: str, folded: bytes, status: int) -> None:
    with pytest.raises(ProblemError) as refused:
        decompress(folded, encoding, len(BODY))

    assert refused.value.answer.status == status


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("", None),
        ("identity", None),
        ("br, zstd", None),
        ("deflate", "deflate"),
        ("deflate, gzip", "gzip"),
        ("GZIP;q=0.5, br", "gzip"),
        ("gzip;q=0, deflate", "deflate"),
        ("gzip; q=0", None),
    ],
)
def test_an_answer_is_folded_as_the_caller_accepts(accepted: str, expected: str | None) -> None:
    assert preferred_encoding(accepted) == expected
