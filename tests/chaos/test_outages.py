"""MLflow stops, a service is killed in the middle of a download, replicas start anew: all serve, and say what."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from promotion_processes import until
from promotion_world import Served, World

from inference import ArtifactCache

pytestmark = pytest.mark.timeout(1200)
RATE = 50.0


def test_without_mlflow_scoring_goes_on_a_restart_comes_from_the_cache_and_its_return_is_caught_up(
    world: World,
) -> None:
    world.mlflow.move(world.good[1])
    until(lambda: world.served.serves(world.good[1]), 60, "the good version")
    with world.calling(world.served, RATE) as seen:
        world.mlflow.stop()
        until(lambda: world.served.model()["registry"]["error"], 60, "MLflow is missed")
        restarted = world.serve("restarted")
        try:
            restarted.until_ready()
            ready, from_cache = restarted.ready()[0], restarted.model()
            world.mlflow.start()
            world.mlflow.move(world.good[0])
            for served in (world.served, restarted):
                until(lambda served=served: served.serves(world.good[0]), 60, "caught up")
            confirmed = restarted.ready()[0]["confirmed_by"]
        finally:
            restarted.stop()

    assert (seen.failed[:3], seen.wrong[:3]) == ([], [])
    assert (ready["confirmed_by"], from_cache["registry"]["confirmed_by"]) == ("cache", "cache")
    assert "does not answer" in from_cache["registry"]["error"]
    assert (ready["model"]["version"], from_cache["champion"]["source"]) == (world.good[1], "cache")
    assert confirmed == "registry"


def test_workers_and_replicas_converge_and_each_tells_the_move_once(world: World) -> None:
    replicas = [world.serve(name, world.home / name, workers="2") for name in ("replica-a", "replica-b")]
    try:
        for replica in replicas:
            replica.until_ready()
        before = world.served.ready()[0]["model"]["version"]
        number = world.good[(world.good.index(before) + 1) % 3]
        world.mlflow.move(number)
        for replica in replicas:
            until(lambda replica=replica: replica.serves(number), 60, "every worker serves it")
        told = [until(lambda replica=replica: _told(replica, number), 20, "both told") for replica in replicas]
        for replica in replicas:
            until(lambda replica=replica: _workers_counted(replica, number) == 2, 20, "two workers by the metric")
    finally:
        for replica in replicas:
            replica.stop()

    assert [(one["from_version"], one["to_version"], len(one["seen_by"])) for one in told] == [(before, number, 2)] * 2


def _workers_counted(replica: Served, number: str) -> float:
    lines = replica.client.get("/metrics").text.splitlines()
    counted = [one for one in lines if one.startswith("scoring_model_info{") and f'version="{number}"' in one]
    return sum(float(one.rsplit(" ", 1)[1]) for one in counted)


def _told(replica: Served, number: str) -> Any:
    newest = replica.history()[0]
    return newest["to_version"] == number and len(newest["seen_by"]) == 2 and newest


class _Stalling(BaseHTTPRequestHandler):
    """Passes requests on to MLflow, and stops in the middle of a booster's file."""

    target = ""
    stalled = threading.Event()
    go_on = threading.Event()

    def do_GET(self) -> None:
        answer = httpx.get(f"{self.target}{self.path}", timeout=30)
        content = answer.content
        self.send_response(answer.status_code)
        self.send_header("content-type", answer.headers.get("content-type", ""))
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.path.endswith("model.lgb"):
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.stalled.set()
            self.go_on.wait(60)
            return
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@contextmanager
def stalling(target: str) -> Iterator[str]:
    _Stalling.target = target
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Stalling)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        _Stalling.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_kill_in_the_middle_of_a_download_leaves_a_cache_that_the_next_start_can_use(world: World) -> None:
    home = world.home / "killed"
    cache = home / "cache" / "models"
    number = world.served.ready()[0]["model"]["version"]
    with stalling(world.mlflow.url) as url:
        killed = world.serve("killed", home, mlflow_url=url)
        try:
            until(_Stalling.stalled.is_set, 60, "half of a download")
            halves = [*cache.glob("filling-*/model.lgb")]
        finally:
            killed.process.kill()
            killed.stop()
    entries = [*cache.glob("entries/*")]
    restarted = world.serve("after-kill", home)
    try:
        restarted.until_ready()
        answer = restarted.client.post("/v1/score", json={"candidate_id": "c0000001"}).json()
        recalled = ArtifactCache(cache).recall("hourly_rate", "champion")
    finally:
        restarted.stop()

    assert (len(halves), entries) == (1, [])
    assert answer["model"]["version"] == number
    assert answer["prediction"]["estimate"] == world.expected[number]["c0000001"]
    assert recalled is not None
    assert json.loads((recalled[1] / "manifest.json").read_bytes())["sha256"].keys() == {"contract.json", "model.lgb"}
    assert isinstance(recalled[1], Path)
