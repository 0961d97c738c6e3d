"""What the phones must have heard, and what is shown over HTTP: no more and no less than what was stored."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.day.cast import Day
    from tests.support.day.phone import Phone
    from tests.support.day.record import Record
    from tests.support.service import Person

    Row = dict[str, Any]

_TOLD_OF = {"reschedule": "rescheduled", "extend": "rescheduled"}
_TOLD_WHEN = {
    "active": "chat_enabled",
    "ending_soon": "ending_soon",
    "completed": "completed",
    "cancelled": "cancelled",
}


class Sightings(NamedTuple):
    """What a phone has heard: in order where there is one, and how often where there is none."""

    messages: list[tuple[Any, ...]]
    statuses: list[str]
    reads: Counter[tuple[str, int]]
    notifications: Counter[tuple[str, ...]]


async def check_phones(day: Day, record: Record) -> None:
    """Check what all of them heard; those who have not looked at their phone yet do so now."""
    people = {one.id: one for one in (*day.clients, *day.psychologists.values())}
    over = {str(row["id"]) for row in record["sessions"] if row["ended_at"] is not None}
    for phone in day.phones.values():
        # What they were let in with was revoked in the end; they were asked for another, and stayed.

        def asked_again(phone: Phone = phone) -> bool:
            return phone.tokens == 1 + (phone.session_id in over)

        await until(asked_again)
    for session in record["sessions"]:
        for person_id in (session["client_id"], session["psychologist_id"]):
            away = not any(key[0] == str(person_id) for key in day.phones)
            if away or record.of("messages", session):
                await day.phone(people[person_id], str(session["id"]))
    told = {row["person_id"] for row in record["notifications"]}
    for person_id in told - {phone.person.id for phone in day.phones.values()}:
        # Those who have no chat hear what they are told as well.
        await day.phone(people[person_id], None)
    for phone in day.phones.values():
        wanted = _expected(record, phone)

        def complete(phone: Phone = phone, wanted: Sightings = wanted) -> bool:
            return _seen(phone) == wanted

        with contextlib.suppress(AssertionError):
            await until(complete)
        assert _seen(phone) == wanted, f"{phone.person.caller.full_name} in {phone.session_id}"
    # So no one was told anything that no phone was there to hear.
    assert told <= {phone.person.id for phone in day.phones.values()}


def _seen(phone: Phone) -> Sightings:
    for name in ("message", "session-status", "message-read"):
        assert all(one["sessionId"] == phone.session_id for one in phone.of("chat", name)), phone.heard
    return Sightings(
        messages=[
            (one["seq"], one["id"], one["senderId"], one["messageType"], one["content"])
            for one in phone.messages
        ],
        statuses=phone.statuses,
        reads=Counter((one["userId"], one["upToSeq"]) for one in phone.of("chat", "message-read")),
        notifications=Counter(
            (
                one["id"],
                one["type"],
                one["message"],
                str(one["data"]["sessionId"]),
                one["data"]["counselingId"],
            )
            for one in phone.of("notifications", "notification")
        ),
    )


def _expected(record: Record, phone: Phone) -> Sightings:
    of_session = [row for row in record["sessions"] if str(row["id"]) == phone.session_id]
    told = []
    for line in (row for session in of_session for row in record.of("timeline", session)):
        if line["trigger"] in _TOLD_OF:
            told.append(_TOLD_OF[line["trigger"]])
        elif line["from_status"] != line["to_status"]:
            told.append(_TOLD_WHEN[line["to_status"]])
    return Sightings(
        messages=[
            (row["seq"], str(row["id"]), str(row["sender_id"]), row["message_type"], row["text"])
            for session in of_session
            for row in record.of("messages", session)
        ],
        statuses=told,
        reads=Counter(
            (str(row["person_id"]), row["up_to_seq"])
            for session in of_session
            for row in record.of("reads", session)
        ),
        notifications=Counter(
            (str(row["id"]), row["type"], row["message"], str(row["session_id"]), str(row["counseling_id"]))
            for row in record["notifications"]
            if row["person_id"] == phone.person.id
        ),
    )


# ---- over HTTP --------------------------------------------------------------------------------------------


async def check_pages(day: Day, record: Record) -> None:
    """Check history, transcript and timeline of every session for both of its people."""
    people = {one.id: one for one in (*day.clients, *day.psychologists.values())}
    for session in record["sessions"]:
        stored = [(row["seq"], str(row["id"]), row["text"]) for row in record.of("messages", session)]
        session_id = str(session["id"])
        elsewhere = {
            row["text"]
            for row in record["messages"]
            if row["session_id"] != session["id"] and row["message_type"] != "automated" and row["text"]
        }
        for person_id in (session["client_id"], session["psychologist_id"]):
            person = people[person_id]
            paged = await _history(person, session_id)
            assert [(one["seq"], one["id"], one["message"]) for one in paged] == stored
            await _check_transcripts(person, session_id, stored, elsewhere)


async def _history(person: Person, session_id: str) -> list[dict[str, Any]]:
    """Go back through the history, three messages at a time."""
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {}
    while True:
        page = (await person.get("/chat/history", sessionId=session_id, limit=3, **query)).data
        assert len(page["data"]) <= 3
        found = page["data"] + found
        cursor = page["metadata"]["nextCursor"]
        assert (cursor is not None) == page["metadata"]["hasNextPage"]
        if cursor is None:
            return found
        query = {"before": cursor}


async def _check_transcripts(
    person: Person, session_id: str, stored: list[tuple[int, str, str]], elsewhere: set[str]
) -> None:
    path = f"/chat/sessions/{session_id}/transcript"
    as_json, as_text, as_page = await asyncio.gather(
        *(person.get(path, format=form) for form in ("json", "txt", "html"))
    )
    listed = [(one["seq"], one["id"], one["message"]) for one in as_json.data["messages"]]
    assert listed == stored
    for form, written in (("txt", as_text.json), ("html", as_page.json)):
        assert written.count('<p class="by">' if form == "html" else "\n       ") >= len(stored)
        place = 0
        for _, _, text in stored:
            shown = _as_html(text) if form == "html" else text
            place = written.index(shown, place) + len(shown)
        for text in {text for _, _, text in stored if text}:
            shown = _as_html(text) if form == "html" else text
            assert written.count(shown) == sum(one[2] == text for one in stored), (form, text)
        for text in elsewhere:
            assert text not in written
            assert _as_html(text) not in written


def _as_html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


async def check_notifications(day: Day, record: Record) -> None:
    """Let all of them read what they were told: one first, then all of it."""
    for person in (*day.clients, *day.psychologists.values()):
        told = {str(row["id"]) for row in record["notifications"] if row["person_id"] == person.id}
        listed = (await person.get("/notifications", limit=100)).data
        assert {one["id"] for one in listed["data"]} == told
        assert len(listed["data"]) == listed["unreadCount"] == len(told)
        if not told:
            continue
        newest = listed["data"][0]
        read = (await person.put(f"/notifications/{newest['id']}/read")).data
        assert read == newest | {"isRead": True, "readAt": read["readAt"]}
        assert (await person.put("/notifications/read-all")).data == {"read": len(told) - 1}
        assert (await person.get("/notifications")).data["unreadCount"] == 0
