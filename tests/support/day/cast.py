"""Who is there on the day: psychologists by name, thirty clients, an administrator, and their phones."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rdchat.domain.person import Role
from tests.support.day.pace import PACE
from tests.support.day.phone import Phone
from tests.support.service import whole_second
from tests.support.soon import book_at
from tests.support.world import at_instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.service import Person, Reply, Service

PSYCHOLOGISTS = ("Sari", "Dewi", "Wulan", "Rini", "Ayu", "Lestari")
CLIENTS = 30
_ROLES = (Role.CLIENT, Role.STUDENT, Role.EMPLOYEE)
#: From the first booking to the opening of the first chats: bookings are made and phones switched on in it.
_MORNING_SECONDS = 8


class Day:
    """The practice on the day. `opens_at`: the instant at which the first chats open."""

    def __init__(self, service: Service, psychologists: dict[str, Person]) -> None:
        self.service = service
        self.psychologists = psychologists
        self.clients = [
            service.person(_ROLES[number % len(_ROLES)], f"Klien {number}") for number in range(CLIENTS)
        ]
        self.admin = service.person(Role.SUPER_ADMIN, "Admin")
        self.phones: dict[tuple[str, str], Phone] = {}
        self._waiting_room = iter(self.clients)
        self.opens_at = whole_second(_MORNING_SECONDS * PACE)

    @classmethod
    @asynccontextmanager
    async def beginning(cls, service: Service) -> AsyncIterator[Day]:
        people = {name: await service.psychologist(name) for name in PSYCHOLOGISTS}
        day = cls(service, people)
        try:
            yield day
        finally:
            await asyncio.gather(*(phone.switch_off() for phone in day.phones.values()))

    def __getitem__(self, name: str) -> Person:
        return self.psychologists[name]

    def guests(self, count: int) -> list[Person]:
        """Call so many clients in who have not been called yet."""
        return [next(self._waiting_room) for _ in range(count)]

    def guest(self) -> Person:
        return self.guests(1)[0]

    def everybody_came(self) -> bool:
        return next(self._waiting_room, None) is None

    # ---- time ---------------------------------------------------------------------------------------------

    def at(self, seconds: float) -> datetime:
        """An instant of the script: so long after the first chats open."""
        return self.opens_at + timedelta(seconds=seconds * PACE)

    async def comes(self, seconds: float) -> None:
        """Wait for an instant of the script."""
        await at_instant(self.at(seconds))

    def is_before(self, seconds: float) -> bool:
        return datetime.now(UTC) < self.at(seconds)

    # ---- what all of them do ------------------------------------------------------------------------------

    async def books(
        self, client: Person, psychologist: Person | None, starts: float, lasts: float, **more: Any
    ) -> Reply:
        """Book a counselling of today; `starts`: seconds after the first chats open."""
        if psychologist is not None:
            more["psychologistId"] = str(psychologist.id)
        return await book_at(client, self.at(starts), lasts * PACE, **more)

    async def chat(
        self, client: Person, psychologist: Person, starts: float, lasts: float, **more: Any
    ) -> str:
        """Book a chat of today that must succeed. Return the session's id."""
        reply = await self.books(client, psychologist, starts, lasts, **more)
        assert reply.status == 201, reply.json
        session_id: str = reply.data["chatSession"]["sessionId"]
        return session_id

    async def phone(self, person: Person, session_id: str | None) -> Phone:
        """A person's phone in a session, or in none, switched on once."""
        key = str(person.id), session_id or ""
        if key not in self.phones:
            self.phones[key] = Phone(person, session_id)
            await self.phones[key].switch_on()
        return self.phones[key]

    async def both_phones(self, client: Person, psychologist: Person, session_id: str) -> tuple[Phone, Phone]:
        mine, theirs = await asyncio.gather(
            self.phone(client, session_id), self.phone(psychologist, session_id)
        )
        return mine, theirs
