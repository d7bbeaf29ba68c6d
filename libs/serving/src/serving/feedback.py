"""`POST /v1/feedback`: what happened after a prediction. Acknowledged when it is on the disk, and not before.

A body is one object, a list of them, or NDJSON. Sending the same again does no harm: of several outcomes of one
prediction the one observed last counts, and of those the one received last.
"""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from starlette.types import Receive, Scope, Send

from inference.errors import NoModelError
from inference.prediction_log import Feedback
from serving.bulk.encodings import unfold, unfolding_of
from serving.bulk.forms import Form, request_form
from serving.deadlines import Deadline
from serving.prediction_log import JournalError
from serving.problems import FieldError, Problem, problem
from serving.request_bodies import decode_json, decode_lines, read_body
from serving.runtime import CALLER, Shell
from serving.settings import Settings

__all__ = ["FeedbackAnswer", "FeedbackEndpoint", "FeedbackRequest"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_SKEW = timedelta(minutes=5)
"""How far a caller's clock may be ahead of ours."""
_ID = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
_RETRY_AFTER_SECONDS = 5


class FeedbackRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happened after a prediction."""

    prediction_id: Annotated[str, msgspec.Meta(pattern=_ID, max_length=36)]
    """As the answer gave it: a UUID version 7."""
    outcome: bool | float
    """A finite number in the unit of the prediction; yes or no where the model predicts one."""
    observed_at: Annotated[datetime, msgspec.Meta(tz=True)]
    """When it was seen to be so, RFC 3339 with a zone."""


class FeedbackAnswer(msgspec.Struct, frozen=True):
    """The feedback is on the disk."""

    accepted: int


class FeedbackEndpoint:
    """Takes feedback."""

    def __init__(self, shell: Shell, settings: Settings) -> None:
        self._shell = shell
        self._settings = settings
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(FeedbackRequest | list[FeedbackRequest])
        self._line_decoder = msgspec.json.Decoder(FeedbackRequest)
        self._deadline = Deadline(settings.deadline_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises what `problem_of` maps."""
        await self._deadline.hold(self._serve(scope, receive, send))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        form = request_form(headers)
        if form is Form.ARROW:
            raise problem(Problem.MEDIA_TYPE, f"Send {Form.JSON} or {Form.NDJSON}.")
        bytes_max = self._settings.body_bytes_max
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > bytes_max:
            raise problem(Problem.TOO_LARGE, f"At most {bytes_max} bytes.")
        body = await read_body(receive, bytes_max)
        if b"content-encoding" in headers:
            body = unfold(body, unfolding_of(headers), bytes_max)
        rows, is_list = self._decoded(body, form)
        if not rows:
            raise problem(Problem.INVALID, errors=[FieldError("$", "has at least one row")])
        if len(rows) > self._settings.bulk_rows_max:
            raise problem(Problem.TOO_LARGE, f"At most {self._settings.bulk_rows_max} rows.")
        kept = self._checked(rows, str(scope[CALLER]), is_list=is_list)
        try:
            await self._shell.runtime.feedback.keep(kept)
        except JournalError:
            raise problem(Problem.NOT_KEPT, retry_after_seconds=_RETRY_AFTER_SECONDS) from None
        content = b'{"accepted":%d}' % len(kept)
        sent = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": sent})
        await send({"type": "http.response.body", "body": content})

    def _decoded(self, body: bytes, form: Form) -> tuple[list[FeedbackRequest], bool]:
        if form is Form.NDJSON:
            return decode_lines(self._line_decoder, body), True
        found = decode_json(self._decoder, body)
        return (found, True) if isinstance(found, list) else ([found], False)

    def _checked(self, rows: list[FeedbackRequest], caller: str, *, is_list: bool) -> list[Feedback]:
        """Hold rows to the rules that no schema says. Raises the 422 problem."""
        now = datetime.now(UTC)
        latest, received_at_us = now + _SKEW, time.time_ns() // 1000
        task = self._task()
        kept: list[Feedback] = []
        for place, row in enumerate(rows):
            rule = _broken_rule(row, task, latest)
            if rule is not None:
                field = f"[{place}].{rule.field}" if is_list else rule.field
                raise problem(Problem.INVALID, errors=[FieldError(field, rule.rule)])
            observed_at_us = (row.observed_at - _EPOCH) // timedelta(microseconds=1)
            kept.append(Feedback(row.prediction_id, float(row.outcome), observed_at_us, received_at_us, caller))
        return kept

    def _task(self) -> str | None:
        """What the model predicts; None without one, when feedback is kept all the same."""
        try:
            return self._shell.runtime.models.current().version.contract.task
        except NoModelError:
            return None


def _broken_rule(row: FeedbackRequest, task: str | None, latest: datetime) -> FieldError | None:
    outcome = _broken_rule_of_outcome(row.outcome, task)
    if outcome is not None:
        return FieldError("outcome", outcome)
    if not _EARLIEST <= row.observed_at <= latest:
        return FieldError("observed_at", "lies after the year 2000 and not in the future")
    if int(row.prediction_id[:8] + row.prediction_id[9:13], 16) / 1000 > latest.timestamp():
        return FieldError("prediction_id", "is one that this service gave")
    return None


def _broken_rule_of_outcome(outcome: bool | float, task: str | None) -> str | None:
    if task == "regression" and isinstance(outcome, bool):
        return "is a number: this model predicts one"
    if not math.isfinite(outcome):
        return "is a finite number"
    if task == "binary" and outcome not in {0, 1}:
        return "is true, false, 1 or 0: this model predicts one of two"
    if task == "ranking" and outcome < 0:
        return "is not negative: this model ranks by relevance"
    return None
