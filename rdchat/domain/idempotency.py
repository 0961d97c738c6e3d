"""Requests that carry a key of their sender's, so that sending one again does nothing again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with a key: whose, which, and a hash of all that it asks for."""

    person_id: UUID
    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Begun:
    """It is to be carried out. `again`: it may have been done before, under the same operation id."""

    operation_id: UUID
    again: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """It was carried out: what was answered, as JSON."""

    status: int
    answer: bytes
