import time
import uuid

from hypothesis import given
from hypothesis.strategies import integers

from serving.prediction_ids import prediction_id, prediction_ids


def milliseconds(identity: str) -> int:
    return uuid.UUID(identity).int >> 80


@given(integers(0, 300))
def test_ids_are_uuid_version_7_of_now_in_canonical_form_and_differ(count: int) -> None:
    before = time.time_ns() // 1_000_000
    ids = [*prediction_ids(count), prediction_id()]
    after = time.time_ns() // 1_000_000

    assert len(set(ids)) == count + 1
    for identity in ids:
        parsed = uuid.UUID(identity)
        assert str(parsed) == identity
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
        assert before <= milliseconds(identity) <= after
