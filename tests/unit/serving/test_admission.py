import pytest

from serving.admission import Admission, Quota
from serving.problems import ProblemError


def test_admission_sheds_over_the_bound_and_counts_what_it_shed() -> None:
    counted = [0.0]
    admission = Admission(in_flight_max=2, retry_after_seconds=3, shed=counted)
    admission.enter()
    admission.enter()
    with pytest.raises(ProblemError) as shed:
        admission.enter()
    admission.leave()
    admission.enter()

    assert shed.value.answer.status == 503
    assert shed.value.headers == ((b"retry-after", b"3"),)
    assert admission.in_flight == 2
    assert counted == [1]


def test_a_quota_gives_its_burst_then_its_rate_to_each_caller_alone() -> None:
    now = 0.0
    quota = Quota(per_second=0.5, burst=2, clock=lambda: now)
    quota.take("one")
    quota.take("one")
    with pytest.raises(ProblemError) as refused:
        quota.take("one")
    quota.take("other")
    now = 2.0
    quota.take("one")
    with pytest.raises(ProblemError):
        quota.take("one")

    assert refused.value.answer.status == 429
    assert refused.value.headers == ((b"retry-after", b"2"),)
