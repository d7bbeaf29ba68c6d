"""Follows an alias of a registered model: a new version is made ready aside, swapped in atomically, and guarded."""

from inference.watch.look_loop import WatchTiming
from inference.watch.state import RefusedVersion, WatchState
from inference.watch.watch import ModelWatch

__all__ = ["ModelWatch", "RefusedVersion", "WatchState", "WatchTiming"]
