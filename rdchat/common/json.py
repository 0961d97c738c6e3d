"""JSON as it leaves the program."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson


def as_json(value: Any) -> bytes:  # noqa: ANN401 - JSON, with UUIDs in it
    """Write a value as JSON, in UTF-8; ids may be UUIDs. Raises TypeError for what JSON cannot say."""
    return orjson.dumps(value, default=_id)


def _id(value: object) -> str:
    # asyncpg has a UUID class of its own, which orjson does not take for one.
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is nothing for JSON")
