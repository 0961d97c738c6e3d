"""What a group commit leaves in every table but that of messages, and how it is found again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import orjson
import pytest

from config import Organizations
from rdchat.common.clock import SystemClock
from rdchat.engine.change import ChangeBuilder
from rdchat.postgres import commit, counselings, pool, webhooks
from rdchat.postgres.data_keys import DataKeyError
from rdchat.texts.wording import automated_text
from statemachine import Cancel, EndSession, Refusal, RunAutomation, SendMessage, step
from statemachine.session import AutomationKind
from tests.support.keys import data_keys

if TYPE_CHECKING:
    from rdchat.engine.change import Change
    from rdchat.postgres.pool import Pool
    from statemachine import Command, Session

LEASE = timedelta(seconds=10)
KEYS = data_keys()
CLIENT, PSYCHOLOGIST = "client_id", "psychologist_id"


def decided(session: Session, *commands: tuple[Command, UUID | None, UUID]) -> Change:
    """Decide commands, each with who gave it and its id."""
    builder = ChangeBuilder(session, partial(automated_text, Organizations()))
    for command, actor_id, command_id in commands:
        now = SystemClock().now()
        due = session.automations[command.kind].due_at if isinstance(command, RunAutomation) else now
        decision = step(session, command, max(now, due))
        assert not isinstance(decision, Refusal)
        builder.add(decision, command_id=command_id, actor_id=actor_id)
        session = decision.session
    return builder.change


def said(person_id: UUID) -> tuple[Command, UUID | None, UUID]:
    message_id = uuid4()
    return SendMessage(message_id, person_id, "Halo"), person_id, message_id


def ended(person_id: UUID) -> tuple[Command, UUID | None, UUID]:
    return EndSession(person_id), person_id, uuid4()


def ran_out(session: Session) -> tuple[Command, UUID | None, UUID]:
    return RunAutomation(AutomationKind.AUTO_END, session.schedule_version), None, uuid4()


async def write(database: Pool, *changes: Change, endpoints: tuple[str, ...] = ()) -> dict[UUID, Any]:
    return await commit.commit(database, changes, keys=KEYS, outbox_lease=LEASE, endpoints=endpoints)


async def rows_of(database: Pool, query: str, *arguments: Any) -> list[dict[str, Any]]:
    async with pool.acquire(database) as connection:
        return [dict(row) for row in await connection.fetch(query, *arguments)]


@pytest.mark.parametrize(
    ("speakers", "ends", "outcome"),
    [
        ((CLIENT, PSYCHOLOGIST), None, "held"),
        ((CLIENT,), None, "psychologist_absent"),
        ((PSYCHOLOGIST,), None, "client_absent"),
        ((), None, "nobody_came"),
        ((), CLIENT, "psychologist_absent"),
        ((), PSYCHOLOGIST, "client_absent"),
        ((PSYCHOLOGIST,), CLIENT, "held"),
    ],
)
async def test_who_spoke_in_the_commit_that_ends_a_session_was_there(
    database: Pool, talking: list[Session], speakers: tuple[str, ...], ends: str | None, outcome: str
) -> None:
    session, other = talking
    spoken = [said(getattr(session, one)) for one in speakers]
    end = ended(getattr(session, ends)) if ends is not None else ran_out(session)
    won = await write(database, decided(session, *spoken, end), decided(other, said(other.client_id)))
    assert won[session.id].outcome == outcome
    assert won[other.id].outcome is None
    [row] = await rows_of(
        database,
        "SELECT s.status, s.end_reason, s.outcome, c.status AS counseling FROM chat_sessions s "
        "JOIN counselings c ON c.id = s.counseling_id WHERE s.id = $1",
        session.id,
    )
    reason = {None: "auto_ended", CLIENT: "ended_by_client", PSYCHOLOGIST: "ended_by_psychologist"}[ends]
    assert row == {
        "status": "completed",
        "end_reason": reason,
        "outcome": outcome,
        "counseling": "completed",
    }


async def test_a_reason_is_kept_encrypted_with_the_counselling_and_its_neighbour_has_none(
    database: Pool, talking: list[Session]
) -> None:
    first, second = talking
    cancel = decided(first, (Cancel(first.client_id, "Saya sakit"), first.client_id, uuid4()))
    cancel.cancel_reason = "Saya sakit"
    without = decided(second, (Cancel(second.client_id), second.client_id, uuid4()))
    await write(database, cancel, without)
    kept = {
        row["id"]: row for row in await rows_of(database, "SELECT id, status, cancel_reason FROM counselings")
    }
    reason = kept[first.counseling_id]["cancel_reason"]
    assert b"sakit" not in reason
    counseling = await counselings.get_counseling(database, first.counseling_id, at=SystemClock().now())
    assert counseling is not None
    shown = await counselings.get_cancel_reasons(database, [counseling], keys=KEYS)
    assert shown == {first.counseling_id: "Saya sakit"}
    assert kept[second.counseling_id]["cancel_reason"] is None
    assert {row["status"] for row in kept.values()} == {"cancelled"}


async def test_a_reason_that_people_are_told_is_sealed_for_each_of_them(
    database: Pool, talking: list[Session]
) -> None:
    session = talking[0]
    cancel = decided(session, (Cancel(None), None, uuid4()))
    cancel.notifications = [replace(new, reason="Saya sakit") for new in cancel.notifications]
    assert len(cancel.notifications) == 2
    await write(database, cancel)
    told = await rows_of(database, "SELECT reason FROM notifications")
    assert len(told) == len({row["reason"] for row in told} - {None}) == 2
    assert not any(b"sakit" in row["reason"] for row in told)


async def test_no_reason_is_kept_for_people_who_were_put_into_the_counselling(
    database: Pool, talking: list[Session]
) -> None:
    first, second = talking
    await database.execute(
        "UPDATE counselings SET client_id = $2, client_exclusive = false WHERE id = $1",
        first.counseling_id,
        second.client_id,
    )
    cancel = decided(first, (Cancel(first.client_id, "Saya sakit"), first.client_id, uuid4()))
    cancel.cancel_reason = "Saya sakit"
    with pytest.raises(DataKeyError):
        await write(database, cancel)
    assert await rows_of(database, "SELECT 1 FROM counselings WHERE cancel_reason IS NOT NULL") == []


async def test_a_session_that_goes_on_leaves_its_counselling_as_it_is(
    database: Pool, talking: list[Session]
) -> None:
    session = talking[0]
    warning = RunAutomation(AutomationKind.END_WARNING, session.schedule_version)
    await write(database, decided(session, (warning, None, uuid4())))
    [row] = await rows_of(
        database,
        "SELECT s.status, c.status AS counseling, a.status AS automation, a.executed_at, a.lateness_ms "
        "FROM chat_sessions s JOIN counselings c ON c.id = s.counseling_id "
        "JOIN automations a ON a.session_id = s.id AND a.kind = 'end_warning' WHERE s.id = $1",
        session.id,
    )
    assert (row["status"], row["counseling"], row["automation"]) == ("ending_soon", "pending", "done")
    assert row["executed_at"] is not None
    assert row["lateness_ms"] == 0


async def test_what_is_published_to_no_one_is_written_all_the_same(
    database: Pool, talking: list[Session]
) -> None:
    session = talking[0]
    too_late = session.ends_at - timedelta(seconds=10)
    skipped = step(session, RunAutomation(AutomationKind.END_WARNING, session.schedule_version), too_late)
    assert not isinstance(skipped, Refusal)
    builder = ChangeBuilder(session, partial(automated_text, Organizations()))
    builder.add(skipped, command_id=uuid4(), actor_id=None)
    assert builder.change.outbox_entry is None
    assert session.id in await write(database, builder.change)
    [row] = await rows_of(
        database,
        "SELECT status, reason FROM automations WHERE session_id = $1 AND kind = 'end_warning'",
        session.id,
    )
    assert row == {"status": "skipped", "reason": "too_late_to_warn"}
    assert await rows_of(database, "SELECT 1 FROM outbox") == []


async def test_webhooks_are_written_for_each_endpoint_and_none_without(
    database: Pool, talking: list[Session]
) -> None:
    first, second = talking
    change = decided(first, (Cancel(None), None, uuid4()))
    await write(database, change, endpoints=("https://one.example", "https://two.example"))
    await write(database, decided(second, (Cancel(None), None, uuid4())))
    now = SystemClock().now() + timedelta(seconds=1)
    rows = [
        (endpoint, one)
        for endpoint in ("https://one.example", "https://two.example")
        for one in await webhooks.claim_deliveries(database, endpoint, now=now, until=now, limit=9, keys=KEYS)
    ]
    told = {(one.person_id, endpoint) for one in change.notifications for endpoint in ("one", "two")}
    assert len(told) == 4
    found = set()
    for endpoint, one in rows:
        assert one.body is not None
        body = orjson.loads(one.body)
        assert body["type"] == one.type == "notification.session_cancelled"
        assert body["data"]["data"]["sessionId"] == str(first.id)
        found.add((UUID(body["data"]["person"]["id"]), endpoint.removesuffix(".example")[8:]))
    assert found == told
    assert len(rows) == len(told)


async def test_the_timeline_says_who_did_what_from_which_state_to_which(
    database: Pool, talking: list[Session]
) -> None:
    session = talking[0]
    warned, done = uuid4(), uuid4()
    warning = RunAutomation(AutomationKind.END_WARNING, session.schedule_version)
    end = EndSession(session.client_id)
    await write(database, decided(session, (warning, None, warned), (end, session.client_id, done)))
    rows = await rows_of(
        database,
        "SELECT version, position, command_id, trigger, actor_id, from_status, to_status, outcome, reason "
        "FROM timeline WHERE session_id = $1 AND version > $2 ORDER BY version, position",
        session.id,
        session.version,
    )
    common = {"version": session.version + 1}
    assert rows[:2] == [
        common
        | {"position": 0, "command_id": warned, "trigger": "end_warning", "actor_id": None}
        | {"from_status": "active", "to_status": "ending_soon", "outcome": "done", "reason": None},
        common
        | {"position": 1, "command_id": done, "trigger": "end", "actor_id": session.client_id}
        | {"from_status": "ending_soon", "to_status": "completed", "outcome": None, "reason": None},
    ]
    assert [row["trigger"] for row in rows[2:]] == ["auto_end"]


async def test_what_was_committed_is_found_by_its_command_in_its_session_alone(
    database: Pool, talking: list[Session]
) -> None:
    first, second = talking
    words, end = said(first.client_id), ended(first.client_id)
    await write(database, decided(first, words, end))
    asked = [words[2], end[2], uuid4()]
    assert await commit.find_committed(database, [first.id, second.id], asked) == {words[2], end[2]}
    assert await commit.find_committed(database, [second.id], asked) == set()
    assert await commit.find_committed(database, [first.id], [end[2]]) == {end[2]}
    async with pool.acquire(database) as connection:
        assert await commit.find_committed_on(connection, [first.id], asked[:1]) == {words[2]}
