from hypothesis import given
from hypothesis import strategies as st

from online_features.links import KeyRun, mget_frame
from online_features.resp import ServerAddress, command
from online_features.sync_links import connection_options

ids = st.lists(st.text(max_size=5)) | st.lists(st.from_regex(r"[a-z]{4}", fullmatch=True), max_size=5)


@given(st.lists(st.builds(KeyRun, st.sampled_from(["p:v:{", "p:w%C3%A9:{"]), ids), max_size=3))
def test_the_frame_of_an_mget_is_what_resp_wants(runs: list[KeyRun]) -> None:
    keys = [f"{prefix}{id_}}}" for prefix, mine in runs for id_ in mine]

    assert mget_frame(runs) == command("MGET", *keys)


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
