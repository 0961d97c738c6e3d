"""Ids in the class that asyncpg has for them, as rows bring them: read, written, hashed and compared by C.

It is a `uuid.UUID` that equals any other of its value. Python's own takes ten times as long to read and to
write, and a message looks things up by its ids more than a dozen times.
"""

from __future__ import annotations

import os
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as FastUUID  # noqa: N811 - it has the name of what it is made of


def new_id() -> UUID:
    """Make a random id, of version 4."""
    random = bytearray(os.urandom(16))
    random[6] = random[6] & 0x0F | 0x40
    random[8] = random[8] & 0x3F | 0x80
    return FastUUID(bytes(random))


def read_id(text: str) -> UUID:
    """Read an id in whatever form `uuid.UUID` reads. Raise ValueError."""
    try:
        return FastUUID(text)
    except ValueError:
        return FastUUID(UUID(text).bytes)


def id_from_bytes(value: bytes) -> UUID:
    """Return the id of these 16 bytes."""
    return FastUUID(value)
