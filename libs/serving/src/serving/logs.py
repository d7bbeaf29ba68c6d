"""Log events: one JSON line each, with the service, the version that serves, and the request that is being served."""

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import structlog
from structlog.typing import EventDict

from serving.current_request import CURRENT_REQUEST, trace_id_of

__all__ = ["AccessLog", "bind_process", "configure_logging"]

_ERRORS_A_SECOND = 20
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked several times a second while a service starts; that they answer 503 then is what they are for."""
_log = structlog.stdlib.get_logger()
# Not structlog's context variables: threads of pools would not see what changes after they started.
_process: dict[str, object] = {}


def configure_logging(service: str, level: str, worker: int = 0) -> None:
    """Write every log event, the libraries' too, as one JSON line on standard error."""
    bind_process(service=service, worker=worker)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_process_and_request,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _drop_colour,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # One event a request is too much, and httpx writes each poll of the registry.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def bind_process(**facts: object) -> None:
    """Put these keys into every event of this process from now on."""
    _process.update(facts)


def _drop_colour(_: object, __: str, event: EventDict) -> EventDict:
    """Uvicorn repeats its text with a terminal's colours."""
    event.pop("color_message", None)
    return event


def _add_process_and_request(_: object, __: str, event: EventDict) -> EventDict:
    request = CURRENT_REQUEST.get()
    if request is not None:
        event.setdefault("request_id", request.request_id.decode("latin-1"))
        trace_id = trace_id_of(request)
        if trace_id is not None:
            event.setdefault("trace_id", trace_id)
    for key, value in _process.items():
        event.setdefault(key, value)
    return event


@dataclass(slots=True)
class AccessLog:
    """An event a request, `all` of them or those with server `errors`; of the latter at most 20 a second.

    A service that sheds answers thousands of requests a second, and writing of each would cost more than answering.
    """

    mode: Literal["off", "errors", "all"] = "errors"
    clock: Callable[[], float] = time.monotonic
    status_min: int = field(init=False)
    """Least status that is worth a call of `note`."""
    _second: int = field(init=False, default=0)
    _written: int = field(init=False, default=0)
    _left_out: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.status_min = {"off": 1000, "errors": 500, "all": 0}[self.mode]

    def note(self, method: str, route: str, status: int, seconds: float, caller: str | None) -> None:
        """Write the event of a request that has ended."""
        left_out = {}
        if self.mode == "errors":
            if route in _PROBES:
                return
            second = int(self.clock())
            if second != self._second:
                self._second, self._written = second, 0
            if self._written >= _ERRORS_A_SECOND:
                self._left_out += 1
                return
            self._written += 1
            if self._left_out:
                left_out, self._left_out = {"left_out": self._left_out}, 0
        write = _log.warning if status >= 500 else _log.info
        write(
            "request", method=method, route=route, status=status, seconds=round(seconds, 6), caller=caller, **left_out
        )
