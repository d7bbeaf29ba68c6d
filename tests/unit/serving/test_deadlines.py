import asyncio

import pytest

from serving.deadlines import Deadline


async def forever() -> None:
    await asyncio.Event().wait()


async def at_once() -> None:
    await asyncio.sleep(0)


def test_what_is_late_ends_with_a_timeout_and_what_is_not_ends_well() -> None:
    async def run() -> list[object]:
        deadline = Deadline(0.02)
        work = [deadline.hold(forever()), deadline.hold(at_once()), deadline.hold(forever())]
        first = await asyncio.gather(*work, return_exceptions=True)
        second = await asyncio.gather(deadline.hold(at_once()), deadline.hold(forever()), return_exceptions=True)
        return [*first, *second]

    outcomes = [type(outcome) for outcome in asyncio.run(run())]

    assert outcomes == [TimeoutError, type(None), TimeoutError, type(None), TimeoutError]


def test_an_error_of_the_work_passes_unchanged() -> None:
    async def fail() -> None:
        raise KeyError("x")

    async def run() -> None:
        await Deadline(1).hold(fail())

    with pytest.raises(KeyError):
        asyncio.run(run())


def test_a_cancellation_from_outside_stays_one() -> None:
    async def run() -> bool:
        task = asyncio.create_task(Deadline(10).hold(forever()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(run())


def test_a_deadline_of_an_outer_timeout_is_told_apart() -> None:
    async def run() -> None:
        async with asyncio.timeout(0.01):
            await Deadline(10).hold(forever())

    with pytest.raises(TimeoutError):
        asyncio.run(run())
