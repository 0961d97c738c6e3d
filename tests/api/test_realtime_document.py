"""What is really published on Ably channels is what the AsyncAPI document says, and nothing else."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator

from handlers.server.application import ROUTES, events_document
from tests.support import spoken
from tests.support.sessions import reaches
from tests.support.shapes import mismatches
from tests.support.soon import in_days, session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.service import Service

DOCUMENT = events_document()
SCHEMAS = DOCUMENT["components"]["schemas"]
#: What is published once its route is there.
_BY_ROUTE = {
    ("message-read", ""): "/chat/sessions/{id}/read",
    ("session-status", "rescheduled"): "/counselings/{id}/reschedule",
}
_PATHS = {route.path for route in ROUTES}


def described(channel: str, event: str) -> dict[str, Any] | None:
    """Find the schema of an event on a channel."""
    for one in DOCUMENT["channels"].values():
        if (
            re.fullmatch(re.sub(r"{\w+}", "[0-9a-f-]{36}", one["address"]), channel)
            and event in one["messages"]
        ):
            payload: dict[str, Any] = DOCUMENT["components"]["messages"][event]["payload"]
            return payload
    return None


def fault(channel: str, event: str, data: Any) -> str | None:
    """Say how an event is not what the document says."""
    schema = described(channel, event)
    if schema is None:
        return f"{event} is not described on {channel}"
    whole = {"components": DOCUMENT["components"], "allOf": [schema]}
    checker = Draft7Validator(whole, format_checker=Draft7Validator.FORMAT_CHECKER)
    found = [one.message for one in checker.iter_errors(data)] + list(mismatches(DOCUMENT, schema, data))
    return f"{event}: {found}" if found else None


@spoken.ours_alone("the document describes our own events; the dialect's are in docs/dialects.md")
async def test_everything_that_is_published_is_described(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    long = await session_soon(client, 1, 5, psychologistId=str(psychologist.id))
    start = in_days(30)
    cancelled = await client.book(start, start + timedelta(hours=1), psychologistId=str(psychologist.id))
    if "/counselings/{id}/reschedule" in _PATHS:
        moved = {"date": f"{start:%Y-%m-%d}", "startTime": "15:00", "endTime": "16:00", "timezone": "UTC"}
        assert (await client.put(f"/counselings/{cancelled.data['id']}/reschedule", moved)).status == 200
    assert (await client.put(f"/counselings/{cancelled.data['id']}/cancel")).status == 200
    await reaches(client, long, "active")
    assert (await client.say(long, "Halo", "milik-saya")).status == 201
    assert (await psychologist.say(long, "Halo, Budi")).status == 201
    assert (await client.post("/chat/typing", {"sessionId": long, "isTyping": True})).status == 200
    if "/chat/sessions/{id}/read" in _PATHS:
        assert (await client.put(f"/chat/sessions/{long}/read")).status == 200
    await reaches(client, long, "completed")
    ably = service.runtime.ably_local
    assert ably is not None

    def told() -> set[tuple[str, str]]:
        return {
            (message["name"], json.loads(message["data"]).get("status", "")) for _, message in ably.published
        }

    statuses = SCHEMAS["SessionStatusEvent"]["properties"]["status"]["enum"]
    every = {("session-status", status) for status in statuses}
    every |= {(event, "") for event in DOCUMENT["components"]["messages"].keys() - {"session-status"}}
    every -= {one for one, path in _BY_ROUTE.items() if path not in _PATHS}

    async def all_told() -> bool:
        return every <= told()

    await until(all_told)
    assert told() == every
    faults = [
        fault(channel, message["name"], json.loads(message["data"])) for channel, message in ably.published
    ]
    assert [one for one in faults if one] == []


def test_what_is_not_described_would_be_found() -> None:
    channel = "typing:session:f1d2c3b4-5a69-4788-9cab-0e1f2a3b4c5d"
    good = DOCUMENT["components"]["messages"]["typing"]["examples"][0]["payload"]
    assert fault(channel, "typing", good) is None
    assert fault(channel, "typing", {**good, "more": 1})
    assert fault(channel, "typing", {**good, "timestamp": 5})
    assert fault(channel, "typing", {key: good[key] for key in good if key != "userId"})
    assert fault(channel, "message", good)
