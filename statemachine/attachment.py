"""The attachment of a message. To the machine it is only data that a message carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statemachine.values import value

if TYPE_CHECKING:
    from uuid import UUID


@value
class Attachment:
    """A file that is stored beside its message. `size` is in bytes.

    Images have their size in pixels, and recordings their duration, where it could be found out.
    """

    id: UUID
    file_name: str
    content_type: str
    size: int
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
