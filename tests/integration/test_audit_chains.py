"""The audit: whatever is done to its rows, links and checkpoints is found, and the row is named."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from rdchat.common.clock import SystemClock
from rdchat.domain.audit import AuditEntry, AuditFilter, AuditKind
from rdchat.postgres import audit
from rdchat.postgres.audit_check import AuditReport, check_audit
from rdchat.postgres.audit_checkpoints import audit_signer, list_checkpoints, make_checkpoint
from rdchat.postgres.pool import acquire
from tests.support.database_users import planting
from tests.support.keys import data_keys

if TYPE_CHECKING:
    from rdchat.postgres.pool import Pool

KEYS = data_keys()
CLOCK = SystemClock()
ROWS = 80
EDITS = 1_000


def entry(**more: Any) -> AuditEntry:
    return AuditEntry(at=CLOCK.now(), kind=AuditKind.CONTENT_READ, action="get_history", **more)


async def written(database: Pool, entries: list[AuditEntry]) -> None:
    async with acquire(database) as connection:
        await audit.insert_entries(connection, entries, keys=KEYS)


@pytest.fixture
async def audited(database: Pool) -> Pool:
    """Rows in several chains, by several at once, and two checkpoints, the last one behind all of them."""
    people = [uuid4() for _ in range(5)]
    signer = await _signer(database)
    for part in range(2):
        await asyncio.gather(
            *(
                written(database, [entry(actor_id=people[n % 5], session_id=uuid4()) for n in range(10)])
                for _ in range(ROWS // 20)
            )
        )
        made = await make_checkpoint(
            database, signer, now=CLOCK.now() + timedelta(minutes=part), unless_within=timedelta()
        )
        assert made is not None
    return database


async def _signer(database: Pool) -> Any:
    async with acquire(database) as connection:
        return audit_signer(await KEYS.get_service_key(connection))


async def check(connection: Any, kept: list[str] | None = None) -> AuditReport:
    service = await KEYS.get_service_key(connection)
    return await check_audit(
        connection, service, public_key=audit_signer(service).public_key, kept=kept or []
    )


async def checked(database: Pool, kept: list[str] | None = None) -> AuditReport:
    async with acquire(database) as connection, connection.transaction(isolation="repeatable_read"):
        return await check(connection, kept)


async def test_what_is_as_it_was_written_is_found_so(audited: Pool) -> None:
    kept = [line for _, line in await list_checkpoints(audited, after=0)]
    report = await checked(audited, kept)
    assert report.findings == []
    assert (report.rows, report.checkpoints) == (ROWS, 4)
    # More than one chain, or the fuzzing below would not try what it says.
    async with acquire(audited) as connection:
        assert await connection.fetchval("SELECT count(DISTINCT chain) FROM audit_links") > 1


async def test_a_transaction_that_is_rolled_back_leaves_nothing(audited: Pool) -> None:
    async with acquire(audited) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await audit.insert_entries(connection, [entry()], keys=KEYS)
        await transaction.rollback()
    report = await checked(audited)
    assert (report.holds, report.rows) == (True, ROWS)


async def test_details_are_encrypted_and_verify_when_their_key_is_gone(database: Pool) -> None:
    person, command_line = uuid4(), None
    await written(
        database,
        [
            entry(actor_id=person, detail={"reason": "canary of a reason"}),
            entry(actor_id=command_line, detail={"reason": "by hand"}),
        ],
    )
    shown = await audit.list_entries(database, AuditFilter(), before=None, limit=9, keys=KEYS)
    assert {(one.actor_id, one.detail["reason"]) for one in shown if one.detail} == {
        (person, "canary of a reason"),
        (command_line, "by hand"),
    }
    async with acquire(database) as connection:
        assert not await connection.fetchval(
            "SELECT count(*) FROM audit a WHERE position('canary'::bytea IN a.detail) > 0"
        )
    async with planting(database) as connection:
        await connection.execute("DELETE FROM data_keys WHERE owner = $1", person)
    fresh = data_keys()
    shown = await audit.list_entries(
        database, AuditFilter(person_id=person), before=None, limit=9, keys=fresh
    )
    assert [one.detail for one in shown] == [None]
    assert (await checked(database)).holds


async def test_every_edit_is_found_and_its_row_named(audited: Pool) -> None:
    """A thousand edits, each undone afterwards, by one who may write everywhere and can compute links."""
    chance = random.Random(4711)  # noqa: S311 - chooses edits
    kinds: dict[str, int] = {}
    async with planting(audited) as connection:
        rows = [dict(row) for row in await connection.fetch("SELECT * FROM audit")]
        links = [dict(row) for row in await connection.fetch("SELECT * FROM audit_links")]
        for n in range(EDITS):
            edit = chance.choice(_EDITS)
            kinds[edit.__name__] = kinds.get(edit.__name__, 0) + 1
            transaction = connection.transaction(isolation="repeatable_read")
            await transaction.start()
            try:
                names = await edit(connection, chance, rows, links)
                await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
                report = await check(connection)
            finally:
                await transaction.rollback()
            assert report.findings, (n, edit.__name__, names)
            told = " ".join(report.findings)
            assert any(name in told for name in names), (n, edit.__name__, names, report.findings[:3])
    assert set(kinds) == {one.__name__ for one in _EDITS}
    # The same connection, and nothing was left of them.
    assert (await checked(audited)).holds


# ---- edits: each returns the names of which one has to be told ---------------------------------------------


async def _edit_a_row(connection: Any, chance: random.Random, rows: Any, _links: Any) -> list[str]:
    column, value = chance.choice(
        [
            ("at", "at + interval '1 ms'"),
            ("kind", "'administration'"),
            ("action", "action || ' '"),
            ("outcome", "'NOT_PARTICIPANT'"),
            ("actor_id", "gen_random_uuid()"),
            ("actor_id", "NULL"),
            ("subject_id", "gen_random_uuid()"),
            ("session_id", "gen_random_uuid()"),
            ("occurrences", "occurrences + 1"),
            ("detail", "'x'"),
            ("detail_owner", "actor_id"),
            ("mac", "decode(md5(random()::text), 'hex')"),
        ]
    )
    row = chance.choice(rows)
    await connection.execute(f"UPDATE audit SET {column} = {value} WHERE id = $1", row["id"])  # noqa: S608
    return [str(row["id"])]


async def _delete_a_row(connection: Any, chance: random.Random, rows: Any, _links: Any) -> list[str]:
    row = chance.choice(rows)
    await connection.execute("DELETE FROM audit WHERE id = $1", row["id"])
    return [str(row["id"])]


async def _delete_a_row_and_its_link(
    connection: Any, chance: random.Random, _rows: Any, links: Any
) -> list[str]:
    link = chance.choice(links)
    await connection.execute("DELETE FROM audit WHERE id = $1", link["audit_id"])
    await connection.execute("DELETE FROM audit_links WHERE audit_id = $1", link["audit_id"])
    return [f"links {link['seq']} to {link['seq']} of chain {link['chain']}", f"chain {link['chain']} ends"]


async def _delete_a_row_and_renumber(
    connection: Any, chance: random.Random, _rows: Any, links: Any
) -> list[str]:
    """Take a row out, and compute all links behind it again, and the chain's end."""
    gone = chance.choice(links)
    await connection.execute("DELETE FROM audit WHERE id = $1", gone["audit_id"])
    await _relink(connection, gone["chain"], without=gone["audit_id"])
    return [f"chain {gone['chain']} up to link"]


async def _insert_a_row(connection: Any, chance: random.Random, rows: Any, _links: Any) -> list[str]:
    """Add a row as the service does, with the code of another."""
    row, forged = chance.choice(rows), uuid4()
    await connection.execute(
        """
        INSERT INTO audit SELECT $2, at, kind, action, outcome, $3, subject_id, session_id, occurrences,
                                 detail_owner, detail, mac FROM audit WHERE id = $1
        """,
        row["id"],
        forged,
        uuid4(),
    )
    return [str(forged)]


async def _insert_past_the_chains(
    connection: Any, chance: random.Random, rows: Any, _links: Any
) -> list[str]:
    row, forged = chance.choice(rows), uuid4()
    await connection.execute("ALTER TABLE audit DISABLE TRIGGER audit_is_linked")
    await connection.execute(
        """
        INSERT INTO audit SELECT $2, at, kind, action, outcome, actor_id, subject_id, session_id, occurrences,
                                 detail_owner, detail, mac FROM audit WHERE id = $1
        """,
        row["id"],
        forged,
    )
    return [str(forged)]


async def _exchange_two_links(connection: Any, chance: random.Random, _rows: Any, links: Any) -> list[str]:
    one, other = chance.sample(links, 2)
    for link, taken in ((one, other), (other, one)):
        await connection.execute(
            "UPDATE audit_links SET audit_id = $3 WHERE chain = $1 AND seq = $2",
            link["chain"],
            link["seq"],
            taken["audit_id"],
        )
    return [str(one["audit_id"]), str(other["audit_id"])]


async def _exchange_and_relink(connection: Any, chance: random.Random, _rows: Any, links: Any) -> list[str]:
    """Exchange two rows of a chain, and compute all of its hashes again."""
    one = chance.choice(links)
    other = chance.choice(
        [link for link in links if link["chain"] == one["chain"] and link["seq"] != one["seq"]]
    )
    await _relink(
        connection,
        one["chain"],
        swapped={one["audit_id"]: other["audit_id"], other["audit_id"]: one["audit_id"]},
    )
    return [f"chain {one['chain']} up to link"]


async def _alter_a_hash(connection: Any, chance: random.Random, _rows: Any, links: Any) -> list[str]:
    link = chance.choice(links)
    await connection.execute(
        "UPDATE audit_links SET hash = sha256(hash) WHERE chain = $1 AND seq = $2", link["chain"], link["seq"]
    )
    return [str(link["audit_id"])]


async def _delete_a_checkpoint(connection: Any, _chance: random.Random, _rows: Any, _links: Any) -> list[str]:
    await connection.execute("DELETE FROM audit_checkpoints WHERE n = 1")
    return ["checkpoints 1 to 1"]


async def _alter_a_checkpoint(connection: Any, chance: random.Random, _rows: Any, _links: Any) -> list[str]:
    n = chance.choice((1, 2))
    altered = chance.choice(("line || ' '", "replace(line, 'Z', '+00:00')", "replace(line, '[0,', '[8,')"))
    await connection.execute(f"UPDATE audit_checkpoints SET line = {altered} WHERE n = $1", n)  # noqa: S608
    return [f"line {n}"]


_EDITS = (
    _edit_a_row,
    _delete_a_row,
    _delete_a_row_and_its_link,
    _delete_a_row_and_renumber,
    _insert_a_row,
    _insert_past_the_chains,
    _exchange_two_links,
    _exchange_and_relink,
    _alter_a_hash,
    _delete_a_checkpoint,
    _alter_a_checkpoint,
)


async def _relink(
    connection: Any,
    chain: int,
    *,
    without: UUID | None = None,
    swapped: dict[UUID, UUID] | None = None,
) -> None:
    kept = await connection.fetch(
        "SELECT audit_id FROM audit_links WHERE chain = $1 AND audit_id IS DISTINCT FROM $2 ORDER BY seq",
        chain,
        without,
    )
    macs = {row["id"]: row["mac"] for row in await connection.fetch("SELECT id, mac FROM audit")}
    await connection.execute("DELETE FROM audit_links WHERE chain = $1", chain)
    digest, rows = b"", []
    for seq, row in enumerate(kept, 1):
        audit_id = (swapped or {}).get(row["audit_id"], row["audit_id"])
        digest = sha256(digest + seq.to_bytes(8, "big") + audit_id.bytes + macs[audit_id]).digest()
        rows.append((chain, seq, audit_id, digest))
    await connection.executemany("INSERT INTO audit_links VALUES ($1, $2, $3, $4)", rows)
    await connection.execute(
        "UPDATE audit_chains SET last_seq = $2, hash = $3 WHERE chain = $1", chain, len(rows), digest
    )
