"""One deadline for many requests: `asyncio.timeout` arms and disarms a timer a request, which costs 3 µs each.

Requests with the same time allowed expire in the order in which they came, so that one timer for the eldest is enough.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable

__all__ = ["Deadline"]


class _Request:
    __slots__ = ("expired", "expires_at", "task")

    def __init__(self, task: "asyncio.Task[object]", expires_at: float) -> None:
        self.task: asyncio.Task[object] | None = task
        self.expires_at = expires_at
        self.expired = False


class Deadline:
    """Ends what takes longer than `seconds`. Belongs to one event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._requests: deque[_Request] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def hold(self, work: Awaitable[None]) -> None:
        """Await `work` in the task that calls; when it is late, cancel what it waits for and raise TimeoutError."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine that runs is in a task
        request = _Request(task, loop.time() + self._seconds)
        requests = self._requests
        requests.append(request)
        if self._timer is None:
            self._timer = loop.call_at(request.expires_at, self._expire)
        try:
            await work
        except asyncio.CancelledError:
            # Cancelled from elsewhere too: then that counts, as with `asyncio.timeout`.
            if request.expired and task.uncancel() <= 0:
                raise TimeoutError from None
            raise
        finally:
            request.task = None
            while requests and requests[0].task is None:
                requests.popleft()

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        requests = self._requests
        while requests and (requests[0].task is None or requests[0].expires_at <= now):
            request = requests.popleft()
            if request.task is not None:
                request.expired = True
                request.task.cancel()
        self._timer = loop.call_at(requests[0].expires_at, self._expire) if requests else None
