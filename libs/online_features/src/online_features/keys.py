"""Names of Redis keys.

    <project>:<view>:{<entity>}      one packed value (see `layout`)
    <project>:schemas                hash: view -> its schema document as of the last `feast apply`
    <project>:layouts                hash: "<view>/<fingerprint>" -> columns; append-only, so old rows stay readable
    <project>:pool:<name>            packed list of ids (see `pool`)

The entity is the hash tag, so Redis Cluster keeps all views of one entity in one slot, as Feast's own store does by
hashing the entity key. One join key: its value as text (`c0000001`, `42`). Several: in the order of the sorted join key
names, each as `<bytes>:<value>` (a netstring), which no two different tuples share. None: Feast's dummy entity, "".
"""

import binascii
from collections.abc import Sequence
from urllib.parse import quote

__all__ = [
    "KEY_END",
    "entity_text",
    "key_slot",
    "layouts_key",
    "netstring",
    "pool_key",
    "schemas_key",
    "view_key_pattern",
    "view_key_prefix",
]

KEY_END = "}"
_SLOTS = 16384


def _name(text: str) -> str:
    """Names keep letters, digits and `_-.`; anything that could end a part of the key is percent-encoded."""
    return quote(text, safe="")


def view_key_prefix(project: str, view: str) -> str:
    """What stands before the entity; the key is prefix + entity + `KEY_END`."""
    return f"{_name(project)}:{_name(view)}:{{"


def view_key_pattern(project: str, view: str) -> str:
    """SCAN pattern of all rows of a view (names hold no glob characters once encoded)."""
    return f"{view_key_prefix(project, view)}*"


def schemas_key(project: str) -> str:
    """Hash of schema documents."""
    return f"{_name(project)}:schemas"


def layouts_key(project: str) -> str:
    """Hash of every layout that a row may have been written under."""
    return f"{_name(project)}:layouts"


def pool_key(project: str, name: str) -> str:
    """Packed list of ids."""
    return f"{_name(project)}:pool:{_name(name)}"


def netstring(value: str) -> str:
    """`<length in UTF-8 bytes>:<value>`."""
    return f"{len(value.encode(errors='surrogateescape'))}:{value}"


def entity_text(values: Sequence[str]) -> str:
    """The entity part of a key; `values` in the order of the sorted join key names."""
    if len(values) == 1:
        return values[0]
    return "".join(map(netstring, values))


def key_slot(key: bytes) -> int:
    """Redis Cluster's slot: CRC16 (XMODEM) of the hash tag, or of the whole key where there is none."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return binascii.crc_hqx(key, 0) % _SLOTS
