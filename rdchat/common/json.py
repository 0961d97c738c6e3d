"""JSON as it leaves the program."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson


def as_json(value: Any) -> bytes:  # noqa: ANN401 - JSON, with UUIDs in it
    """Encode a value as JSON, in UTF-8; ids may be UUIDs. Raise TypeError for what JSON cannot express."""
    return orjson.dumps(value, default=_id)


def _id(value: object) -> str:
    # asyncpg has a UUID class of its own, which orjson does not accept as a UUID.
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is nothing for JSON")
