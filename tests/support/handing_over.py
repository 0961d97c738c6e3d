"""Counsellings that are handed over, and what people are told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from tests.support.service import Person, Reply

REASSIGNED = "counseling_reassigned"


async def hand_over(person: Person, booking: dict[str, Any], to: Person | UUID, **headers: str) -> Reply:
    psychologist_id = to if isinstance(to, UUID) else to.id
    path = f"/counselings/{booking['id']}/reassign"
    return await person.call("PUT", path, json={"psychologistId": str(psychologist_id)}, headers=headers)


async def told(person: Person, kind: str = REASSIGNED) -> list[dict[str, Any]]:
    """List what one was told of this kind."""
    found = (await person.get("/notifications", limit=100)).data["data"]
    return [one for one in found if one["type"] == kind]
