"""The log's commands: `python -m pipelines follow | forget | expire`."""

import argparse
import signal
import sys
from types import FrameType

from pipelines.prediction_log.settings import LogSettings

__all__ = ["add_commands", "run_command"]

_TIMEOUT_SECONDS = 5.0


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare them."""
    follow = commands.add_parser("follow", help="write predictions and feedback to Parquet as they come, until stopped")
    follow.add_argument("--host", default="127.0.0.1", help="address of /metrics")
    follow.add_argument("--port", type=int, default=8010, help="port of /metrics")
    forgotten = commands.add_parser("forget", help="delete what the prediction log holds of one person")
    forgotten.add_argument("--candidate", required=True, help="id of the candidate")
    commands.add_parser("expire", help="delete predictions and feedback older than OFFERS_RETENTION_DAYS")


def run_command(arguments: argparse.Namespace) -> int:
    """Run one of them and return the exit code."""
    settings = LogSettings.from_env()
    if arguments.command == "follow":
        return _follow(settings, arguments.host, arguments.port)
    if arguments.command == "forget":
        return _forget(settings, arguments.candidate)
    from pipelines.prediction_log.retention import expire

    days = expire(settings.home, settings.services, settings.retention_days)
    sys.stdout.write(f"{days} days deleted that lie more than {settings.retention_days} days back\n")
    return 0


def _follow(settings: LogSettings, host: str, port: int) -> int:
    import redis
    from prometheus_client import start_http_server

    from pipelines.monitoring import performance_collector
    from pipelines.prediction_log.follower import Follower
    from pipelines.prediction_log.follower_metrics import FollowerMetrics

    stopping = False

    def stop(_: int, __: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    metrics = FollowerMetrics(settings.services)
    metrics.registry.register(performance_collector(settings.home / "monitoring"))
    client = redis.Redis.from_url(
        settings.redis_url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
    )
    server, thread = start_http_server(port, host, registry=metrics.registry)
    try:
        Follower(settings, client, metrics).run(lambda: stopping)
    finally:
        client.close()
        server.shutdown()
        server.server_close()
        thread.join()
    return 0


def _forget(settings: LogSettings, candidate_id: str) -> int:
    import redis

    from pipelines.prediction_log.forgetting import forget

    client = redis.Redis.from_url(settings.redis_url, socket_timeout=_TIMEOUT_SECONDS)
    try:
        done = forget(settings, client, candidate_id)
    except (redis.RedisError, OSError) as error:
        sys.stderr.write(f"not everything was deleted, run it again: {error}\n")
        return 1
    finally:
        client.close()
    sys.stdout.write(
        f"{done.predictions} predictions, {done.feedback} outcomes and {done.in_transit} rows on their way deleted\n"
    )
    if done.spools_held:
        sys.stdout.write(f"{done.spools_held} spools belong to running processes; the follower leaves the person out\n")
    return 0
