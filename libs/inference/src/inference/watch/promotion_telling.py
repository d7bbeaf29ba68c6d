"""Tells listeners, and writes into the history, what became of each move of an alias."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Sequence
from datetime import UTC, datetime

from inference.errors import RefusalCode
from inference.model import LiveModel
from inference.promotion import UNKNOWN, Outcome, Promotion, PromotionListener
from inference.promotion_history import PromotionHistory
from inference.registry import RegisteredVersion
from inference.watch.background import Background

__all__ = ["PromotionTelling"]

_log = logging.getLogger(__name__)


class PromotionTelling:
    """Moves of one alias, in their order."""

    def __init__(
        self,
        alias: str,
        listeners: Sequence[PromotionListener],
        history: PromotionHistory | None,
        background: Background,
    ) -> None:
        self._alias = alias
        self._listeners = tuple(listeners)
        self._history = history
        self._background = background
        self._teller = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._last: asyncio.Task[None] | None = None
        """The last move being written down; each waits for the one before, so that they stand in order."""

    def tell(
        self,
        registered: RegisteredVersion,
        outcome: Outcome,
        before: LiveModel | None,
        after: LiveModel | None = None,
        *,
        code: RefusalCode | None = None,
        reason: str = "",
        from_version: str | None = None,
    ) -> None:
        """Tell what became of a move to `registered`; the history is written in the background."""
        promotion = Promotion(
            at=datetime.now(UTC),
            model=registered.name,
            alias=self._alias,
            from_version=from_version if before is None else before.version.version,
            to_version=registered.version,
            outcome=outcome,
            code=code,
            reason=reason,
            moved_by=registered.tags.get("promoted_by") or UNKNOWN,
            registered_by=registered.registered_by or UNKNOWN,
            from_metrics=None if before is None else before.version.contract.training.metrics,
            to_metrics=None if after is None else after.version.contract.training.metrics,
            seen_by=(self._teller,),
        )
        for listener in self._listeners:
            listener(promotion)
        if self._history is not None:
            self._last = self._background.spawn(_write_down(self._history, promotion, self._last))

    async def wait_written(self) -> None:
        """Wait until the history holds what was told so far."""
        if self._last is not None:
            await asyncio.wait([self._last])


async def _write_down(history: PromotionHistory, promotion: Promotion, earlier: asyncio.Task[None] | None) -> None:
    if earlier is not None:
        await asyncio.wait([earlier])
    try:
        await asyncio.to_thread(history.append, promotion)
    except OSError as error:
        _log.warning("history_failed", extra={"model": promotion.model, "reason": str(error)})
