"""The session, scene by scene: booked, waited for, talked in, ended. What is seen becomes the evidence."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import uuid4

from rdchat.common.clock import iso
from rdchat.domain.person import Caller, Role
from rdchat.local.demo import script
from rdchat.local.demo.appointment import HOME, HOME_NAME, Appointment, clock_time
from rdchat.local.demo.evidence import Evidence, Trial
from rdchat.local.demo.feed import Feed
from rdchat.local.demo.listener import Listener
from statemachine import AutomationKind
from statemachine.effects import NotificationType, StatusEvent

if TYPE_CHECKING:
    from datetime import datetime

    from rdchat.common.clock import Clock
    from rdchat.local.demo.person import Person
    from rdchat.local.demo.screen import Screen
    from rdchat.local.demo.script import Line, Plan

#: How long after its instant something that was to be heard is still waited for.
_PATIENCE: Final = timedelta(seconds=8)
#: An event that comes twice would come twice within this time.
_SETTLE_SECONDS: Final = 1.5


class PersonOf(Protocol):
    """Makes a person who can call the service, with or without a token."""

    def __call__(self, caller: Caller, *, with_token: bool = True) -> Person:
        """Make them."""
        ...


class Play:
    """Plays one session with people whom `person_of` lets call the service."""

    def __init__(self, plan: Plan, screen: Screen, clock: Clock, person_of: PersonOf) -> None:
        self._plan = plan
        self._screen = screen
        self._clock = clock
        self._person_of = person_of

    async def perform(self, time_to_subscribe: timedelta) -> tuple[Evidence, str]:
        """Play everything; the first automation leaves `time_to_subscribe`.

        Return what was seen, and the diagram of the session's way as SVG.
        Raise UnexpectedAnswerError where it cannot go on.
        """
        await self._book(time_to_subscribe)
        async with AsyncExitStack() as phones:
            for listener in self._listeners:
                phones.push_async_callback(listener.close)
            await asyncio.gather(*(listener.open() for listener in self._listeners))
            self._screen.note("both are subscribed with the Ably SDK", mark="✓", style="green")
            self._feed.expect(AutomationKind.INITIAL_MESSAGE)
            await self._try_before_the_start()
            await self._wait_for_the_opening()
            for line in self._plan.lines():
                await self._say(line)
            await self._after_the_end()
        return await self._collect()

    # ---- scenes -------------------------------------------------------------------------------------------

    async def _book(self, time_to_subscribe: timedelta) -> None:
        client = self._person_of(Caller(uuid4(), Role.CLIENT, script.CLIENT_NAME))
        self._appointment = Appointment.after(self._clock.now() + time_to_subscribe, self._plan)
        psychologist = self._person_of(Caller(uuid4(), Role.PSYCHOLOGIST, script.PSYCHOLOGIST_NAME))
        administrator = self._person_of(Caller(uuid4(), Role.SUPER_ADMIN, "Admin"))
        body = {"fullName": psychologist.name, "timezone": str(HOME)}
        await administrator.must("PUT", f"/psychologists/{psychologist.id}", body)
        self._order = {**self._appointment.order(), "psychologistId": psychologist.id}
        booked = await client.must("POST", "/counselings/book", self._order)
        self._id = str(booked["chatSession"]["sessionId"])
        self._feed = Feed(
            self._screen,
            self._appointment,
            {client.id: client.name, psychologist.id: psychologist.name},
        )
        self._client = Listener(client, self._id, self._clock, self._feed.chat)
        self._psychologist = Listener(psychologist, self._id, self._clock, self._feed.notification)
        self._seen = Evidence(
            self._client.witness,
            self._psychologist.witness,
            planned={kind.value: iso(at) for kind, at in self._appointment.due.items()},
        )
        times = f"{clock_time(self._appointment.starts_at)} to {clock_time(self._appointment.ends_at)}"
        self._screen.note(
            f"{client.name} books a chat: {times} {HOME_NAME}, with {psychologist.name}",
            mark="✓",
            style="green",
        )

    async def _try_before_the_start(self) -> None:
        client, psychologist = self._client.person, self._psychologist.person
        for one in (client, psychologist):
            await self._try_to_write(one, "before the start", "400 CHAT_NOT_ENABLED")
        stranger = self._person_of(Caller(uuid4(), Role.CLIENT, "A stranger"))
        await self._try_to_write(stranger, "in this session", "403 NOT_PARTICIPANT")
        reply = await stranger.call("GET", "/chat/ably-token", sessionId=self._id)
        self._tried("A stranger asks for a token to listen", "403 NOT_PARTICIPANT", str(reply))
        unknown = self._person_of(stranger.caller, with_token=False)
        reply = await unknown.call("GET", "/chat/history", sessionId=self._id)
        self._tried("A caller without a token asks for the history", "401 UNAUTHENTICATED", str(reply))
        reply = await client.call("POST", "/counselings/book", self._order)
        self._tried(f"{client.name} books the same time again", "409 CLIENT_LIMIT", str(reply))
        came = await self._client.publish_uninvited()
        self._tried(f"{client.name} publishes past the service", "Ably error 40160", came)

    async def _wait_for_the_opening(self) -> None:
        within = self._left(AutomationKind.ENABLE_CHAT)
        notified = NotificationType.CHAT_ENABLED
        await asyncio.gather(
            *self._hear(StatusEvent.CHAT_ENABLED, within),
            *(one.until(lambda it: notified in it.notifications(), within) for one in self._listeners),
        )
        await asyncio.gather(*(listener.take_part() for listener in self._listeners))
        await asyncio.gather(*(listener.look_around() for listener in self._listeners))

    async def _say(self, line: Line) -> None:
        if line.after_warning:
            within = self._left(AutomationKind.END_WARNING)
            await asyncio.gather(*self._hear(StatusEvent.ENDING_SOON, within))
        writer = self._client if line.role == script.CLIENT else self._psychologist
        await self._sleep_until(self._appointment.starts_at + line.types_at)
        await self._type(writer, is_typing=True)
        await self._sleep_until(self._appointment.starts_at + line.sends_at)
        await self._type(writer, is_typing=False)
        self._seen.script.append((writer.person.id, line.text))
        key = uuid4().hex
        first = await writer.person.say(self._id, line.text, key)
        if line.text == script.SENT_TWICE:
            again = await writer.person.say(self._id, line.text, key)
            same = "the same message" if _id(again.body) == _id(first.body) else "another message"
            what = f"{writer.person.name}'s phone sends that again"
            self._tried(what, "200, the same message", f"{again}, {same}")

    async def _after_the_end(self) -> None:
        within = self._left(AutomationKind.AUTO_END)
        notified = NotificationType.SESSION_COMPLETED
        await asyncio.gather(
            *self._hear(StatusEvent.COMPLETED, within),
            *(one.until(lambda it: notified in it.notifications(), within) for one in self._listeners),
        )
        for listener in self._listeners:
            await self._try_to_write(listener.person, "after the end", "400 SESSION_ENDED")
        self._screen.expect("the verdict")
        # Nothing signals that an event will not come a second time: this gives it time to appear.
        await asyncio.sleep(_SETTLE_SECONDS)

    async def _collect(self) -> tuple[Evidence, str]:
        client = self._client.person
        self._seen.session = await client.must("GET", f"/chat/sessions/{self._id}")
        self._seen.timeline = await client.must("GET", f"/chat/sessions/{self._id}/timeline")
        for listener in self._listeners:
            listener.witness.history = await listener.person.history(self._id)
        drawn = await client.call("GET", f"/chat/sessions/{self._id}/diagram", format="svg")
        return self._seen, str(drawn.body)

    # ---- small steps --------------------------------------------------------------------------------------

    @property
    def _listeners(self) -> tuple[Listener, Listener]:
        return self._client, self._psychologist

    async def _type(self, writer: Listener, *, is_typing: bool) -> None:
        # One publishes from the phone, the other lets the service do it: watchers see no difference.
        if writer is self._client:
            await writer.type(is_typing=is_typing)
        else:
            body = {"sessionId": self._id, "isTyping": is_typing}
            await writer.person.must("POST", "/chat/typing", body)
        writer.witness.typed.append(is_typing)

    async def _try_to_write(self, person: Person, when: str, expected: str) -> None:
        reply = await person.say(self._id, "Halo?")
        self._tried(f"{person.name} writes {when}", expected, str(reply))

    def _tried(self, what: str, expected: str, came: str) -> None:
        trial = Trial(what, expected, came)
        self._seen.trials.append(trial)
        self._feed.tried(trial)

    def _hear(self, status: StatusEvent, within: float) -> list[Any]:
        return [one.until(lambda it: it.status(status), within) for one in self._listeners]

    def _left(self, kind: AutomationKind) -> float:
        return (self._appointment.due[kind] + _PATIENCE - self._clock.now()).total_seconds()

    async def _sleep_until(self, at: datetime) -> None:
        await asyncio.sleep(max(0.0, (at - self._clock.now()).total_seconds()))


def _id(body: Any) -> str | None:  # noqa: ANN401 - JSON
    return str(body["data"]["id"]) if isinstance(body, dict) and body.get("success") else None
