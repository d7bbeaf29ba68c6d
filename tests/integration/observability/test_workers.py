"""What any worker tells is what all of them did."""

import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import psutil


def _metric(url: str, pattern: str) -> float:
    text = httpx.get(f"{url}/metrics", verify=False).text  # noqa: S501  # as below
    return sum(float(value) for value in re.findall(rf"(?m)^{pattern} (\S+)$", text))


def _answered(url: str) -> float:
    return _metric(url, r'scoring_request_seconds_count\{route="/v1/score",service="hourly_rate",status="200"\}')


def _score(served: Any, number: int) -> int | str:
    """A connection a request, so that the workers share them."""
    try:
        answer = httpx.post(
            f"{served.url}/v1/score",
            json={"candidate_id": f"c{number % 200:07}"},
            headers={"X-API-Key": served.key},
            timeout=20,
            verify=False,  # noqa: S501  # plain HTTP; loading certificates takes 50 ms a call
        )
    except httpx.HTTPError:
        return "broken"
    return answer.status_code


def test_requests_over_four_workers_add_up_and_so_does_every_bin(served: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda number: _score(served, number), range(600)))

    assert statuses == {200: 600}
    for _ in range(8):
        assert _answered(served.url) == 600
    bins = r'scoring_feature_bin_rows_total\{bin="[^"]*",feature="role",model="hourly_rate",version="1"\}'
    predictions = r'scoring_prediction_bin_rows_total\{bin="[^"]*",model="hourly_rate",version="1"\}'
    # Siblings empty their buffers each second.
    until = time.monotonic() + 20
    while _metric(served.url, bins) < 600 and time.monotonic() < until:
        time.sleep(0.1)
    assert _metric(served.url, bins) == 600
    assert _metric(served.url, predictions) == 600


def test_a_killed_worker_takes_no_counts_along_and_is_replaced(served: Any, wait_for: Callable[..., None]) -> None:
    with ThreadPoolExecutor(8) as pool:
        first = pool.map(lambda number: _score(served, number), range(300))
        second = pool.map(lambda number: _score(served, number), range(300))
        seen = [next(first) for _ in range(150)]
        killed = psutil.Process(served.pid).children()[0]
        killed.send_signal(signal.SIGKILL)
        statuses = Counter([*seen, *first, *second])

    broken = statuses["broken"]
    assert set(statuses) <= {200, "broken"}
    assert statuses[200] >= 500
    # Each answer that a client has is counted; one that was counted may have been lost on its way.
    assert statuses[200] <= _answered(served.url) <= statuses[200] + broken
    predictions = r'scoring_predictions_total\{model="hourly_rate",version="1"\}'
    # Rows are counted a turn of the loop after their answer: at most those of the eight callers are lost.
    assert statuses[200] - 8 <= _metric(served.url, predictions) <= statuses[200] + broken
    wait_for(lambda: sum(child.is_running() for child in psutil.Process(served.pid).children()) == 4)
    wait_for(lambda: _metric(served.url, r'scoring_model_ready\{service="hourly_rate",worker="\d"\}') == 4)


def test_with_many_connections_every_worker_answers(served: Any) -> None:
    with ExitStack() as open_at_once:
        headers = {"X-API-Key": served.key}
        clients = [
            open_at_once.enter_context(httpx.Client(base_url=served.url, headers=headers, verify=False))  # noqa: S501
            for _ in range(64)
        ]
        for number, client in enumerate(clients):
            client.post("/v1/score", json={"candidate_id": f"c{number:07}"}).raise_for_status()

    workers = [
        _metric(served.url, rf'scoring_worker_requests_total\{{service="hourly_rate",worker="{worker}"\}}')
        for worker in range(4)
    ]
    # By chance a worker has none of 64 connections once in 25 million runs.
    assert min(workers) > 0
    assert sum(workers) >= 64


def _requests(url: str) -> list[float]:
    """Requests that each worker answered; with each look there is one more, of any worker."""
    text = httpx.get(f"{url}/metrics", verify=False).text  # noqa: S501  # as above
    found = dict(re.findall(r'(?m)^scoring_worker_requests_total\{service="hourly_rate",worker="(\d)"\} (\S+)$', text))
    return [float(found[str(worker)]) for worker in range(4)]


def test_few_connections_are_even_over_the_workers_and_stay_so_when_one_is_killed(
    served: Any, wait_for: Callable[..., None]
) -> None:
    def score(client: httpx.Client) -> bool:
        try:
            return client.post("/v1/score", json={"candidate_id": "c0000001"}).status_code == 200
        except httpx.TransportError:
            return False

    def rises() -> list[float]:
        before = _requests(served.url)
        assert all(score(client) for client in clients for _ in range(10))
        return [after - earlier for earlier, after in zip(before, _requests(served.url), strict=True)]

    with ExitStack() as open_at_once:
        headers = {"X-API-Key": served.key}
        clients = [
            open_at_once.enter_context(httpx.Client(base_url=served.url, headers=headers, verify=False))  # noqa: S501
            for _ in range(8)
        ]
        assert all(score(client) for client in clients)

        # Two connections each, as soon as those that looked at the metrics are forgotten.
        wait_for(lambda: set(rises()) <= {20, 21})
        psutil.Process(served.pid).children()[0].send_signal(signal.SIGKILL)
        broken = [score(client) for client in clients].count(False)
        # Only its two callers may notice, and the new worker gets two of the connections that the others hold.
        assert broken <= 2
        assert all(score(client) for client in clients)
        wait_for(lambda: set(rises()) <= {20, 21})
