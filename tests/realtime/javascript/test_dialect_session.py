"""A whole session as the web app of Ruang Diri lives it, with Ably's and Socket.IO's JavaScript clients."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from config.values import RATES, rate_limits
from tests.support.pair import a_pair
from tests.support.service import whole_second

if TYPE_CHECKING:
    from tests.support.service import Person

pytestmark = pytest.mark.xdist_group("javascript")

JAVASCRIPT = Path(__file__).parents[1] / "js"
PATIENCE = 90.0
#: Half of it before the warning, behind which the client ends the chat.
LASTS = timedelta(seconds=12)
LEAD = timedelta(seconds=10)


async def live(node: Path, service: str, client: Person, psychologist: Person) -> dict[str, Any]:
    """Let two people live a session. Return what each of them heard."""
    starts_at = whole_second(4).astimezone(ZoneInfo("Asia/Jakarta"))
    booking = {
        "method": "chat",
        "date": f"{starts_at:%Y-%m-%d}",
        "startTime": f"{starts_at:%H:%M:%S}",
        "endTime": f"{starts_at + LASTS:%H:%M:%S}",
        "timezone": "Asia/Jakarta",
        "notes": "",
        "psychologistId": str(psychologist.id),
    }
    process = await asyncio.create_subprocess_exec(
        *(str(node), "dialect.mjs", service, client.token, psychologist.token, json.dumps(booking)),
        cwd=JAVASCRIPT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    outcome: dict[str, Any] = json.loads(said)
    return outcome


@pytest.mark.usefixtures("sdk")
async def test_a_session_as_the_app_lives_it(
    node: Path, tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """The app calls one of two replicas; each publishes what it has committed."""
    limits = rate_limits(",".join(f"{kind}={rate}" for kind, rate in RATES.items()))
    async with a_pair(
        tmp_path,
        database_url=database_url,
        redis_url=redis_url,
        dialect="ruangdiri",
        rate_limits=limits,
        end_warning_lead=LEAD,
    ) as pair:
        app = pair.one
        for replica in (pair.one, pair.other):
            await asyncio.wait_for(replica.runtime.announcements.listening.wait(), 10)
        psychologist = await app.psychologist("Sari")
        client = app.person(name="Budi")
        outcome = await live(node, app.base, client, psychologist)
    assert outcome["booked"][1] == "Sari"
    assert [why for why, _ in outcome["refused"]] == ["Authentication error"] * 4
    assert max(ms for _, ms in outcome["refused"]) < 1000
    assert outcome["publishing"] == 40160
    assert outcome["picture"] == [200, "image/png"]
    for name, person in (("client", client), ("psychologist", psychologist)):
        heard, told = outcome[name]["heard"], outcome[name]["told"]
        # Everything once, and in order.
        assert len({one["id"] for one in heard}) == len(heard)
        check_messages([one["data"] for one in heard if one["name"] == "message"], outcome["said"])
        check_statuses(heard, outcome["booked"][0])
        check_told(told, str(person.id), ["session_completed"] if name == "psychologist" else [])
    check_signals(outcome, str(client.id), str(psychologist.id))


def check_messages(said: list[dict[str, Any]], by_client: list[str]) -> None:
    assert [one["seq"] for one in said] == list(range(1, len(said) + 1))
    people = [one for one in said if not one["isAutomated"]]
    assert [one["messageId"] for one in people[:3]] == by_client
    assert [one["senderRole"] for one in people] == ["client"] * 3 + ["psychologist"]
    assert [one["senderFullname"] for one in people] == ["Budi"] * 3 + ["Sari"]
    assert people[1]["content"] == "enc.v1:00ff:QUJDRA=="
    assert people[2]["attachmentName"] == "gambar.png"
    assert people[2]["attachmentType"] == "image/png"
    assert people[2]["attachmentSize"] > 0
    assert all(one["timestamp"] == one["createdAt"] for one in said)
    assert [one["senderRole"] for one in said if one["isAutomated"]] == ["psychologist"] * 3


def check_statuses(heard: list[dict[str, Any]], session_id: str) -> None:
    statuses = [one["data"] for one in heard if one["name"] == "session_status"]
    assert [(one["status"], one["isActive"], one["isChatEnabled"]) for one in statuses] == [
        ("active", True, True),
        ("active", True, True),
        ("completed", False, False),
    ]
    assert all(one["sessionId"] == session_id and one["endsAt"].endswith("Z") for one in statuses)
    # Each behind ours.
    pairs = [one["name"] for one in heard if one["name"] in ("session-status", "session_status")]
    assert pairs == ["session-status", "session_status"] * 3


def check_told(told: list[dict[str, Any]], person_id: str, at_the_end: list[str]) -> None:
    assert [one["subType"] for one in told] == ["counseling_booked", "chat_enabled", *at_the_end]
    assert [one["unreadCount"] for one in told] == list(range(1, len(told) + 1))
    assert len({one["id"] for one in told}) == len(told)
    assert all(one["recipientId"] == person_id and one["title"] and one["message"] for one in told)


def check_signals(outcome: dict[str, Any], client_id: str, psychologist_id: str) -> None:
    at_client, at_psychologist = outcome["client"]["heard"], outcome["psychologist"]["heard"]
    first, second = (one["data"] for one in at_client if one["name"] == "read_receipt")
    assert first["userId"] == second["userId"] == psychologist_id
    assert first["messageIds"] == outcome["said"][:2]
    assert second["messageIds"] == outcome["said"][2:]
    assert first["readAt"] == first["timestamp"]
    (presence,) = (one["data"] for one in at_client if one["name"] == "user_presence")
    assert (presence["userId"], presence["userFullname"], presence["status"]) == (
        psychologist_id,
        "Sari",
        "away",
    )
    assert presence["lastSeen"]
    assert presence["timestamp"]
    typing = [one["data"] for one in at_psychologist if one["name"] == "typing"]
    # A call at each of 43 keys, twice as many as others may make in ten seconds; told now and then.
    assert 2 <= len(typing) < 20
    assert {(one["userId"], one["userFullName"]) for one in typing} == {(client_id, "Budi")}
    assert [one["isTyping"] for one in typing][-1] is False
