"""The vectorised reader gives what Feast's SDK gives, through outages and changes."""

import asyncio
import datetime as dt
import random
import socket
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from feast import FeatureStore, FeatureView, Field
from feast.types import Float64, Int64, String
from numpy.testing import assert_array_equal

from inference.errors import FeatureStoreError
from inference.features import CellStatus, FeatureRows
from online_features import open_reader, read_pool, write_pool
from online_features.feast_reader import FeastFeatureReader

from . import marketplace_views as market

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Feast's and Ibis's own

Make = Callable[..., FeatureStore]


def filled(store: FeatureStore, n: int = 60) -> FeatureStore:
    store.apply([market.CANDIDATE, market.JOB, *market.views()])
    for name, frame in market.frames(n).items():
        store.write_to_online_store(name, frame)
    return store


def assert_same(one: FeatureRows, other: FeatureRows) -> None:
    assert_array_equal(one.matrix, other.matrix)
    assert_array_equal(one.status, other.status)
    assert_array_equal(one.found, other.found)
    assert_array_equal(one.as_of_us, other.as_of_us)
    assert one.matrix.flags.c_contiguous


@pytest.mark.parametrize("n", [1, 2, 4, 5, 200])
def test_pairs_read_the_same_as_through_feast(valkey: Any, feast_store: Make, n: int) -> None:
    store = filled(feast_store(f"same{n}"))
    dice = random.Random(n)
    keys = {
        "candidate_id": [dice.choice([f"c{i:04d}" for i in range(60)] + ["nobody"]) for _ in range(n)],
        "job_id": [dice.choice(["j0", "j1", "j2", "j404"]) for _ in range(n)],
    }

    async def read() -> FeatureRows:
        reader = await open_reader(valkey.url, market.contract(), f"same{n}")
        rows = await reader.read(keys)
        await reader.close()
        return rows

    expected = asyncio.run(FeastFeatureReader(store, market.contract()).read(keys))
    assert_same(asyncio.run(read()), expected)


def test_every_candidate_alone_and_all_together_give_the_same_rows(valkey: Any, feast_store: Make) -> None:
    filled(feast_store("alone"))
    ids = [f"c{i:04d}" for i in range(60)]

    async def read() -> tuple[FeatureRows, list[FeatureRows]]:
        reader = await open_reader(valkey.url, market.contract(), "alone")
        together = await reader.read({"candidate_id": ids, "job_id": ["j1"] * 60})
        alone = [await reader.read({"candidate_id": [id_], "job_id": ["j1"]}) for id_ in ids]
        await reader.close()
        return together, alone

    together, alone = asyncio.run(read())
    for name in ("matrix", "status", "found", "as_of_us"):
        assert_array_equal(getattr(together, name), np.concatenate([getattr(rows, name) for rows in alone]))
    assert {CellStatus.PRESENT, CellStatus.MISSING, CellStatus.STALE} == set(together.status.flat)


def test_concurrent_readers_get_their_own_rows_also_when_others_are_cancelled(valkey: Any, feast_store: Make) -> None:
    filled(feast_store("concurrent"))

    async def read() -> None:
        reader = await open_reader(valkey.url, market.contract(), "concurrent")

        async def one(number: int) -> None:
            candidate = number % 60
            rows = await reader.read({"candidate_id": [f"c{candidate:04d}"], "job_id": ["j0"]})
            commits = rows.matrix[0, 5]
            assert commits == candidate or (candidate % 7 == 6 and np.isnan(commits))

        tasks = [asyncio.create_task(one(number)) for number in range(600)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results[::3])
        assert [r for i, r in enumerate(results) if i % 3 and r is not None] == []
        await reader.close()

    asyncio.run(read())


def test_a_view_that_changes_under_an_open_reader_is_decoded_by_its_new_and_old_layouts(
    valkey: Any, feast_store: Make
) -> None:
    store = filled(feast_store("changing"), 10)

    async def read() -> tuple[FeatureRows, FeatureRows]:
        reader = await open_reader(valkey.url, market.contract(), "changing")
        keys = {"candidate_id": [f"c{i:04d}" for i in range(10)], "job_id": ["j0"] * 10}
        before = await reader.read(keys)
        profile = market.views()[0]
        view = FeatureView(
            name="profile",
            entities=[market.CANDIDATE],
            ttl=dt.timedelta(days=2),
            schema=[
                Field(name="new", dtype=String),
                Field(name="years", dtype=Float64),
                Field(name="rate", dtype=Int64),
            ],
            source=profile.source,
        )
        store.apply([view])
        frame = market.frames(10, age=dt.timedelta(0))["profile"].iloc[:2].assign(new="x", years=99.0)
        store.write_to_online_store("profile", frame)
        after = await reader.read(keys)
        await reader.close()
        return before, after

    before, after = asyncio.run(read())
    assert after.matrix[:2, 3].tolist() == [99.0, 99.0]
    assert after.status[:2, 0].tolist() == [CellStatus.MISSING] * 2
    assert_array_equal(after.matrix[2:], before.matrix[2:])
    assert_array_equal(after.status[2:], before.status[2:])


def test_a_server_that_is_away_is_an_error_in_plain_words_and_is_found_again(
    own_valkey: Any, feast_store: Make
) -> None:
    server = own_valkey()
    connection = {"connection_string": f"unix_socket_path={server.socket}"}
    filled(feast_store("outage", **connection), 5)
    keys = {"candidate_id": ["c0001"], "job_id": ["j0"]}

    async def read() -> None:
        reader = await open_reader(server.url, market.contract(), "outage")
        assert (await reader.read(keys)).found.all()
        server.stop()
        with pytest.raises(FeatureStoreError, match="cannot be reached"):
            await reader.read(keys)
        server.start()
        assert not (await reader.read(keys)).found.any()
        await asyncio.to_thread(filled, feast_store("outage", **connection), 5)
        assert (await reader.read(keys)).found.all()
        await reader.close()
        with pytest.raises(FeatureStoreError):
            await open_reader("unix:///nowhere/valkey.sock", market.contract(), "outage")

    asyncio.run(read())


def test_a_server_that_hangs_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"

        with pytest.raises(FeatureStoreError, match="cannot be reached"):
            asyncio.run(open_reader(url, market.contract(), "p"))


def test_schemas_describe_the_contracts_views(valkey: Any, feast_store: Make) -> None:
    store = filled(feast_store("schemas"), 2)

    async def schemas() -> tuple[Any, Any]:
        reader = await open_reader(valkey.url, market.contract(), "schemas")
        nowhere = await open_reader(valkey.url, market.contract(), "unheard-of")
        mine = await reader.schemas()
        rows = await nowhere.read({"candidate_id": ["a", "b"], "job_id": ["c", "d"]})
        assert not rows.found.any()
        assert (rows.status == CellStatus.MISSING).all()
        assert await nowhere.schemas() == {}
        await reader.close()
        await nowhere.close()
        return mine, await FeastFeatureReader(store, market.contract()).schemas()

    mine, of_feast = asyncio.run(schemas())
    assert mine == of_feast
    assert mine["profile"].columns["seen_at"] == "UnixTimestamp"
    assert mine["profile"].ttl_seconds == 2 * 86_400
    assert mine["activity"].join_keys == ("candidate_id",)


def test_a_missing_join_key_is_the_callers_mistake(valkey: Any, feast_store: Make) -> None:
    filled(feast_store("mistake"), 2)

    async def read() -> None:
        reader = await open_reader(valkey.url, market.contract(), "mistake")
        with pytest.raises(ValueError, match="job_id"):
            await reader.read({"candidate_id": ["c0001"]})
        assert (await reader.read({"candidate_id": [], "job_id": []})).matrix.shape == (0, 9)
        await reader.close()

    asyncio.run(read())


def test_a_pool_is_replaced_as_a_whole(valkey: Any) -> None:
    async def pools() -> None:
        assert await read_pool(valkey.url, "pools", "candidates") == []
        await write_pool(valkey.url, "pools", "candidates", [f"c{i}" for i in range(1000)])
        await write_pool(valkey.url, "pools", "candidates", ["c1", "c22"])
        assert await read_pool(valkey.url, "pools", "candidates") == ["c1", "c22"]

    asyncio.run(pools())


def test_a_password_and_a_database_are_used(own_valkey: Any, feast_store: Make) -> None:
    server = own_valkey("--requirepass", "s3cret")
    connection = f"unix_socket_path={server.socket},password=s3cret,db=3"
    filled(feast_store("login", connection_string=connection), 3)
    keys = {"candidate_id": ["c0001"], "job_id": ["j0"]}

    async def read(url: str) -> FeatureRows:
        reader = await open_reader(url, market.contract(), "login")
        rows = await reader.read(keys)
        await reader.close()
        return rows

    assert asyncio.run(read(f"unix://:s3cret@{server.socket}?db=3")).found.all()
    assert not asyncio.run(read(f"unix://:s3cret@{server.socket}?db=2")).found.any()
    with pytest.raises(FeatureStoreError, match="refused"):
        asyncio.run(read(f"unix://:wrong@{server.socket}?db=3"))
