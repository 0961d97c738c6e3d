"""What is attached to a message. To the machine it is data that a message carries along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that is stored beside its message. `size` is in bytes; images have their size in pixels."""

    id: UUID
    file_name: str
    content_type: str
    size: int
    width: int | None = None
    height: int | None = None
