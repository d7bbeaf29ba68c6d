import asyncio
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import FeatureStoreError
from online_features.links import KeyRun, mget_frame, mget_frames
from online_features.resp import RespConnection, ServerAddress
from online_features.sync_links import connection_options

few = st.lists(st.text(max_size=5)) | st.lists(st.from_regex(r"[a-z]{4}", fullmatch=True), max_size=5)
many = st.integers(10, 200).map(lambda n: [f"{number:04}" for number in range(n)])
prefixes = st.sampled_from(["p:v:{", "p:w%C3%A9:{"])


def _commands(frame: bytes) -> list[list[bytes]]:
    parser = hiredis.Reader()
    parser.feed(frame)
    found = list(iter(parser.gets, False))
    assert not parser.has_data()
    return found


def _keys(runs: list[KeyRun]) -> list[bytes]:
    return [f"{prefix}{id_}}}".encode() for prefix, mine in runs for id_ in mine]


@given(st.lists(st.builds(KeyRun, prefixes, few | many), max_size=3))
def test_one_mget_asks_for_all_keys_in_order(runs: list[KeyRun]) -> None:
    assert _commands(mget_frame(runs)) == [[b"MGET", *_keys(runs)]]


@given(st.builds(KeyRun, prefixes, (few | many).filter(len)))
def test_mgets_of_a_run_ask_for_all_keys_in_order_sixteen_a_command(run: KeyRun) -> None:
    frame, number = mget_frames(run)

    commands = _commands(frame)
    assert len(commands) == number
    assert {one[0] for one in commands} == {b"MGET"}
    assert {len(one) for one in commands[:-1]} <= {17}
    assert [key for one in commands for key in one[1:]] == _keys([run])


class _Sent(asyncio.Transport):
    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def is_closing(self) -> bool:
        return False


def _answers(replies: bytes, piece: int) -> list[Any]:
    """What a caller of one command, one of three, a cancelled one of two and another of one get, by pieces."""

    async def run() -> list[Any]:
        connection = RespConnection(asyncio.get_running_loop(), 10.0)
        connection.connection_made(_Sent())
        waiting = [connection.send(b""), connection.send_all(b"", 3), connection.send_all(b"", 2), connection.send(b"")]
        waiting[2].cancel()
        for start in range(0, len(replies), piece):
            connection.data_received(replies[start : start + piece])
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        connection.connection_lost(None)
        return answers

    return asyncio.run(run())


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_replies_of_several_commands_come_together_and_to_who_asked(piece: int) -> None:
    answers = _answers(b":1\r\n*1\r\n:2\r\n*0\r\n*2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n", piece)

    assert answers[:2] == [1, [[2], [], [3, 4]]]
    assert isinstance(answers[2], asyncio.CancelledError)
    assert answers[3] == 7


def test_a_refused_command_among_several_fails_its_caller_alone() -> None:
    answers = _answers(b":1\r\n*0\r\n-OOM too much\r\n*0\r\n:5\r\n:6\r\n:7\r\n", 9)

    assert answers[0] == 1
    assert isinstance(answers[1], FeatureStoreError)
    assert "OOM" in str(answers[1])
    assert answers[3] == 7


def test_urls_say_where_and_how_to_log_in() -> None:
    tcp = ServerAddress.parse("redis://user:p%40ss@host:7000/3")
    unix = ServerAddress.parse("unix://:secret@/run/valkey.sock?db=2")
    tls = ServerAddress.parse("rediss://host")

    assert (tcp.host, tcp.port, tcp.database, tcp.username, tcp.password) == ("host", 7000, 3, "user", "p@ss")
    assert (unix.path, unix.database, unix.password) == ("/run/valkey.sock", 2, "secret")
    assert tls.tls is not None
    assert "secret" not in str(unix)
    assert "p@ss" not in str(tcp)


def test_connection_strings_are_read_as_feast_reads_them() -> None:
    nodes, options = connection_options("one:7000,two:7001,ssl=true,db=1,password=1234")

    assert nodes == [("one", 7000), ("two", 7001)]
    assert options == {"ssl": True, "db": 1, "password": "1234"}
