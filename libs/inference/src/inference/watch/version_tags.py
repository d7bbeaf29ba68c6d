"""What the tags of a model version say between a service's processes, and to people."""

import logging

from inference.errors import RegistryError
from inference.registry import ModelRegistry, RegisteredVersion

__all__ = ["FORCE_TAG", "REFUSED_TAG", "ROLLED_BACK_TAG", "ROLLED_BACK_TO_TAG", "is_forced", "set_tags"]

_log = logging.getLogger(__name__)

REFUSED_TAG = "serving.refused"
"""Tag of a model version that did not go live; its value is the reason."""
ROLLED_BACK_TAG = "serving.rolled_back"
"""Tag of a model version that served and was rolled back; its value is the reason, empty once it may be tried again."""
ROLLED_BACK_TO_TAG = "serving.rolled_back_to"
"""Tag beside it: the version that serves instead, for processes that start later."""
FORCE_TAG = "serving.force"
"""Tag by which a person insists: the version is taken although it was rolled back, and is not guarded."""


def is_forced(registered: RegisteredVersion) -> bool:
    """Whether a person insists on this version."""
    return bool(registered.tags.get(FORCE_TAG))


async def set_tags(registry: ModelRegistry, name: str, version: str, tags: dict[str, str]) -> None:
    """Set tags of a version; those that the registry takes are removed from `tags`."""
    for key, value in tuple(tags.items()):
        try:
            await registry.set_tag(name, version, key, value)
        except RegistryError as error:
            _log.warning("tag_failed", extra={"model": name, "reason": str(error)})
            return
        tags.pop(key, None)
