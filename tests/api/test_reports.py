"""Reports: numbers that add up, on what was made up and on what was lived; who sees them, in which form."""

from __future__ import annotations

import csv
import io
import random
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from handlers.api.reports import as_text_cell
from rdchat.domain.person import Role
from tests.support.adding_up import adds_up, flat
from tests.support.envelope import assert_refused
from tests.support.sessions import reaches
from tests.support.soon import book_soon, in_days

if TYPE_CHECKING:
    from tests.support.service import Person, Service

HOUR = timedelta(hours=1)
SPAN = {"from": "2031-01-01", "to": "2031-12-31", "timezone": "UTC"}
_PATH = "/reports/organization"
#: What became of a session, as its row says it, and where that is counted.
FATES = (
    ("completed", None, "held", "held"),
    ("completed", None, "client_absent", "noShows.clientAbsent"),
    ("completed", None, "psychologist_absent", "noShows.psychologistAbsent"),
    ("completed", None, "nobody_came", "noShows.nobodyCame"),
    ("completed", None, None, "held"),
    ("cancelled", "client_cancelled", None, "cancelled.byClient"),
    ("cancelled", "psychologist_cancelled", None, "cancelled.byPsychologist"),
    ("cancelled", "admin_cancelled", None, "cancelled.byAdministrator"),
    ("cancelled", "missed", None, "missed"),
    ("cancelled", "over_limit", None, "missed"),
    ("pending", None, None, "ahead"),
    ("active", None, None, "underWay"),
    ("ending_soon", None, None, "underWay"),
)

_CLIENT = "INSERT INTO people (id, role, seen_at) VALUES ($1, 'client', now())"
_COUNSELING = """
INSERT INTO counselings (id, client_id, psychologist_id, method, starts_at, ends_at, created_at, updated_at,
                         status, organization_id, timezone, local_date, local_start, local_end_date,
                         local_end, client_timezone, psychologist_timezone, client_exclusive)
VALUES ($1, $2, $3, 'chat', $4::timestamptz, $4::timestamptz + '45 min', $5, $5, $6, $7, 'UTC', $4::date,
        $4::time, $4::date, $4::time, 'UTC', 'UTC', true)
"""
_SESSION = """
INSERT INTO chat_sessions (id, counseling_id, client_id, psychologist_id, starts_at, ends_at, created_at,
                           updated_at, status, end_reason, outcome, ended_at, version, last_seq,
                           schedule_version, language)
VALUES ($1, $2, $3, $4, $5::timestamptz, $5::timestamptz + '45 min', $6::timestamptz, $6, $7, $8, $9,
        CASE WHEN $7 IN ('completed', 'cancelled') THEN $5::timestamptz END, 0, 0, 1, 'id')
"""


async def test_numbers_of_what_was_made_up_add_up(service: Service) -> None:
    """A few hundred sessions of every fate, written into the tables, and counted once more here."""
    psychologists = [await service.psychologist(name) for name in ("Sari", "Rina", "Dewi")]
    organizations = [uuid4(), uuid4()]
    chance = random.Random(7)  # noqa: S311 - guards nothing
    expected: dict[tuple[UUID | None, UUID | None], dict[str, Any]] = {}
    async with service.runtime.pool.acquire() as connection, connection.transaction():
        for number in range(300):
            client, organization = uuid4(), chance.choice(organizations)
            who = chance.choice(psychologists).id
            status, end_reason, outcome, counted = chance.choice(FATES)
            starts_at = datetime(2031, 1, 1, tzinfo=UTC) + timedelta(hours=29 * number)
            wait = timedelta(minutes=chance.randrange(1, 50_000))
            stored = status if status in ("completed", "cancelled") else "pending"
            made = (uuid4(), client, who, starts_at, starts_at - wait)
            await connection.execute(_CLIENT, client)
            await connection.execute(_COUNSELING, *made, stored, organization)
            await connection.execute(_SESSION, uuid4(), *made, status, end_reason, outcome)
            for key in ((None, None), (organization, None), (None, who), (organization, who)):
                of = expected.setdefault(key, {"booked": 0, "minutes": 0, "waits": []})
                of["booked"] += 1
                of[counted] = of.get(counted, 0) + 1
                of["minutes"] += 45 * (status != "cancelled")
                of["waits"].append(wait.total_seconds() / 60)
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    of_all: list[UUID | None] = [None]
    for asked in of_all + organizations:
        more = {"organizationId": asked} if asked is not None else {}
        report = (await admin.get(_PATH, **SPAN, **more)).data
        assert adds_up(report)
        rows: dict[UUID | None, dict[str, Any]] = {None: report}
        rows |= {UUID(one["psychologist"]["id"]): one for one in report["psychologists"]}
        names = [one["psychologist"]["fullName"] for one in report["psychologists"]]
        assert names == ["Dewi", "Rina", "Sari"]
        for whose, row in rows.items():
            of = dict(expected[asked, whose])
            assert row["medianWaitMinutes"] == pytest.approx(median(of.pop("waits")), abs=0.06)
            shown = flat(row)
            assert {name: shown[name] for name in of} == of
            assert not [name for name in {one[3] for one in FATES} - of.keys() if shown[name]]


@pytest.mark.wall_time
async def test_numbers_of_what_was_lived_add_up(service: Service) -> None:
    psychologist = await service.psychologist()
    organization = uuid4()
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    supervisor = service.person(Role.SUPERVISOR, "Penyelia", organization_id=organization)

    async def book(starts_in: float, **more: Any) -> tuple[Person, dict[str, Any]]:
        client = service.person(organization_id=organization)
        return client, (await book_soon(client, starts_in, 60, **more)).data

    for method in ("chat", "online"):
        for who in ("client", "psychologist", "admin"):
            client, booking = await book(86_400, method=method)
            canceller = {"client": client, "psychologist": psychologist, "admin": admin}[who]
            reply = await canceller.put(f"/counselings/{booking['id']}/cancel", {"reason": "Sakit"})
            assert reply.status == 200
    await book(86_400)
    _, under_way = await book(0.5, method="offline")
    speakers = {"held": 2, "psychologist_absent": 1, "nobody": 0}
    opened = []
    for fate, speaking in speakers.items():
        client, booking = await book(0.5)
        opened.append((fate, speaking, client, booking["chatSession"]["sessionId"]))
    for fate, speaking, client, session_id in opened:
        await reaches(client, session_id, "active")
        for person in (client, psychologist)[:speaking]:
            assert (await person.say(session_id, "Halo")).status == 201
        if fate == "nobody":
            await service.runtime.pool.execute(
                "UPDATE chat_sessions SET ends_at = now() WHERE id = $1", UUID(session_id)
            )
        else:
            assert (await client.put(f"/chat/sessions/{session_id}/end")).status == 200
    span = {"from": f"{in_days(-1):%Y-%m-%d}", "to": f"{in_days(3):%Y-%m-%d}"}
    report = (await supervisor.get(_PATH, **span)).data
    assert adds_up(report)
    assert report["organizationId"] == str(organization)
    shown = flat(report)
    assert {name: number for name, number in shown.items() if number and isinstance(number, int)} == {
        "booked": 11,
        "held": 1,
        "noShows.psychologistAbsent": 1,
        "cancelled.byClient": 2,
        "cancelled.byPsychologist": 2,
        "cancelled.byAdministrator": 2,
        "ahead": 1,
        "underWay": 2,
        "minutes": 5,
    }
    # When its time is over, a meeting without chat is taken to have been held.
    await service.runtime.pool.execute(
        "UPDATE counselings SET starts_at = now() - interval '2 hours', ends_at = now() - interval '1 hour' "
        "WHERE id = $1",
        UUID(under_way["id"]),
    )
    after = (await supervisor.get(_PATH, **span)).data
    assert adds_up(after)
    assert (after["held"], after["presumed"], after["underWay"]) == (2, 1, 1)


async def test_who_is_told_which_numbers(service: Service) -> None:
    await service.psychologist()
    ours, theirs = uuid4(), uuid4()
    for organization in (ours, ours, theirs, None):
        client = service.person(organization_id=organization)
        assert (await client.book(in_days(30), in_days(30) + HOUR, method="online")).status == 201
    span = {"from": f"{in_days(30):%Y-%m-%d}", "to": f"{in_days(30):%Y-%m-%d}", "timezone": "UTC"}
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    supervisor = service.person(Role.SUPERVISOR, "Penyelia", organization_id=ours)
    for person, asked, expected in (
        (admin, None, 4),
        (admin, ours, 2),
        (admin, theirs, 1),
        (admin, uuid4(), 0),
        (supervisor, None, 2),
        (supervisor, ours, 2),
    ):
        more = {"organizationId": asked} if asked is not None else {}
        report = (await person.get(_PATH, **span, **more)).data
        assert report["booked"] == expected
        assert adds_up(report)
    assert_refused(await supervisor.get(_PATH, **span, organizationId=theirs), 403, "FORBIDDEN")
    of_none = service.person(Role.SUPERVISOR, "Penyelia")
    for more in ({}, {"organizationId": ours}):
        assert_refused(await of_none.get(_PATH, **span, **more), 403, "FORBIDDEN")


async def test_a_span_is_bounded(service: Service) -> None:
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    for asked, field in (
        ({"from": "2031-01-01"}, "to"),
        ({"to": "2031-01-01"}, "from"),
        ({"from": "2031-01-02", "to": "2031-01-01"}, "to"),
        ({"from": "2031-01-01T00:00:00Z", "to": "2031-01-01T00:00:00Z"}, "to"),
        ({"from": "2031-01-01", "to": "2032-01-03"}, "to"),
        ({"from": "0001-01-03", "to": "9999-12-30"}, "to"),
        ({"from": "0001-01-01T00:00:00+14:00", "to": "2031-01-01"}, "from"),
        ({"from": "2031-01-01", "to": "9999-12-31"}, "to"),
        ({"from": "2031-01-01", "to": "2031-02-01", "timezone": "Mars/Olympus"}, "timezone"),
        ({"from": "2031-01-01", "to": "2031-02-01", "format": "xlsx"}, "format"),
    ):
        refused = await admin.get(_PATH, **asked)
        assert_refused(refused, 400, "VALIDATION_FAILED")
        assert set(refused.json["errors"]) == {field}, asked
    # A leap year in a zone far away.
    asked = {"from": "2032-01-01", "to": "2032-12-31", "timezone": "Pacific/Kiritimati"}
    assert (await admin.get(_PATH, **asked)).data["booked"] == 0


async def test_a_table_says_the_same_and_carries_out_nothing(service: Service) -> None:
    formula = '=HYPERLINK("http://example.com","Klik"), "dua"'
    for name in (formula, "+62 Sari", "Dewi, M.Psi."):
        psychologist = await service.psychologist(name)
        client = service.person()
        start = in_days(30)
        assert (await client.book(start, start + HOUR, psychologistId=str(psychologist.id))).status == 201
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    span = {"from": f"{in_days(30):%Y-%m-%d}", "to": f"{in_days(30):%Y-%m-%d}", "timezone": "UTC"}
    report = (await admin.get(_PATH, **span)).data
    reply = await admin.get(_PATH, **span, format="csv")
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert reply.headers["Content-Disposition"].startswith("attachment; ")
    header, total, *rows = csv.reader(io.StringIO(reply.json, newline=""))
    names = header[2:]
    assert total == ["", "Total", *(str(flat(report)[name]) for name in names)]
    assert {row[1] for row in rows} == {f"'{formula}", "'+62 Sari", "Dewi, M.Psi."}
    for row, one in zip(rows, report["psychologists"], strict=True):
        assert row[0] == one["psychologist"]["id"]
        assert row[2:] == [str(flat(one)[name]) for name in names]
    assert as_text_cell("Sari") == "Sari"
    for sign in "=+-@\t\r＝＋－＠":  # noqa: RUF001 - the wide ones as well
        assert as_text_cell(f"{sign}1") == f"'{sign}1"


@pytest.mark.parametrize(
    ("since", "until", "timezone"),
    [
        ("2031-01-01", "2031-01-31", "Asia/Jakarta"),
        ("2031-01-01", "2031-01-01", "America/Lima"),
        ("2031-01-01T12:00:00Z", "2031-02-01T12:00:00Z", "Asia/Jakarta"),
        ("0001-01-01T00:00:00Z", "0001-02-01", "America/Lima"),
    ],
)
async def test_a_table_is_called_by_the_days_that_were_asked_for(
    service: Service, since: str, until: str, timezone: str
) -> None:
    asked = {"from": since, "to": until, "timezone": timezone, "format": "csv"}
    reply = await service.person(Role.SUPER_ADMIN, "Admin").get(_PATH, **asked)
    days = f"{since[:10]}-{until[:10]}"
    assert reply.headers["Content-Disposition"] == f'attachment; filename="report-{days}.csv"'


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "json"),
        ("text/csv", "csv"),
        ("application/json, text/csv;q=0.5", "json"),
        ("application/json;q=0.5, text/csv", "csv"),
        ("text/csv;q=0", "json"),
        ("text/csv;q=much", "json"),
        ("", "json"),
    ],
)
async def test_the_header_says_the_form_where_the_query_does_not(
    service: Service, accept: str, form: str
) -> None:
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    media = {"json": "application/json", "csv": "text/csv"}
    reply = await admin.call("GET", _PATH, params=SPAN, headers={"Accept": accept})
    assert reply.headers["Content-Type"].startswith(media[form])
    for said, expected in media.items():
        reply = await admin.call("GET", _PATH, params={**SPAN, "format": said}, headers={"Accept": accept})
        assert reply.headers["Content-Type"].startswith(expected)
