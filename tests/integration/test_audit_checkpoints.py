"""Checkpoints of the audit that lie outside of the database: what they find, and what stops them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from rdchat.common.clock import SystemClock
from rdchat.common.telemetry import Metrics
from rdchat.domain.audit import AuditEntry, AuditKind
from rdchat.operations.checkpoints import CheckpointKeeper, last_kept
from rdchat.postgres import audit
from rdchat.postgres.audit_check import AuditReport, check_audit
from rdchat.postgres.audit_checkpoints import audit_signer
from rdchat.postgres.pool import acquire
from tests.support.database_users import planting
from tests.support.keys import data_keys

if TYPE_CHECKING:
    from pathlib import Path

    from rdchat.postgres.pool import Pool

KEYS = data_keys()
CLOCK = SystemClock()
NOW = timedelta()


async def add(database: Pool, n: int = 1) -> None:
    made = [AuditEntry(at=CLOCK.now(), kind=AuditKind.CONTENT_READ, action="history") for _ in range(n)]
    async with acquire(database) as connection:
        await audit.insert_entries(connection, made, keys=KEYS)


async def keeper(database: Pool, file: Path | None) -> CheckpointKeeper:
    async with acquire(database) as connection:
        signer = audit_signer(await KEYS.get_service_key(connection))
    return CheckpointKeeper(database, signer, CLOCK, Metrics(), file=file)


async def checked(database: Pool, kept: Path) -> AuditReport:
    lines = await asyncio.to_thread(lambda: kept.read_text().splitlines())
    async with acquire(database) as connection, connection.transaction(isolation="repeatable_read"):
        service = await KEYS.get_service_key(connection)
        return await check_audit(connection, service, public_key=audit_signer(service).public_key, kept=lines)


async def test_several_replicas_keep_each_checkpoint_once_in_a_file_that_they_share(
    database: Pool, tmp_path: Path
) -> None:
    file = tmp_path / "log" / "checkpoints.jsonl"
    one, other = await keeper(database, file), await keeper(database, file)
    await add(database)
    await one.keep_one(unless_within=NOW)
    await other.keep_one(unless_within=NOW)
    await add(database)
    await other.keep_one()
    assert last_kept(file) == 1, "the last one is not a minute old"
    await other.keep_one(unless_within=NOW)
    await one.keep_one(unless_within=NOW)
    assert last_kept(file) == 2
    assert len(file.read_text().splitlines()) == 2
    report = await checked(database, file)
    assert (report.findings, report.checkpoints) == ([], 4)


async def test_a_file_catches_up_with_what_it_missed(database: Pool, tmp_path: Path) -> None:
    alone = await keeper(database, None)
    for _ in range(3):
        await add(database)
        await alone.keep_one(unless_within=NOW)
    file = tmp_path / "checkpoints.jsonl"
    await (await keeper(database, file)).keep_one()
    assert last_kept(file) == 3


async def test_what_was_taken_off_the_end_is_found_by_what_was_kept(database: Pool, tmp_path: Path) -> None:
    """All that the database says of it is taken back as well: links, ends, checkpoints."""
    file = tmp_path / "checkpoints.jsonl"
    keeping = await keeper(database, file)
    await add(database, 3)
    await keeping.keep_one(unless_within=NOW)
    async with planting(database) as owner:
        before = await owner.fetch("SELECT * FROM audit_chains")
    await add(database, 2)
    await keeping.keep_one(unless_within=NOW)
    async with planting(database) as owner:
        for row in before:
            await owner.execute(
                "DELETE FROM audit a USING audit_links l WHERE a.id = l.audit_id AND chain = $1 AND seq > $2",
                row["chain"],
                row["last_seq"],
            )
            await owner.execute(
                "DELETE FROM audit_links WHERE chain = $1 AND seq > $2", row["chain"], row["last_seq"]
            )
            await owner.execute("UPDATE audit_chains SET last_seq = $2, hash = $3 WHERE chain = $1", *row)
        await owner.execute("DELETE FROM audit_checkpoints WHERE n = 2")
    nothing = tmp_path / "none"
    nothing.touch()
    assert (await checked(database, nothing)).holds, "the database alone cannot know"
    report = await checked(database, file)
    [finding] = report.findings
    assert "is not what it was at checkpoint 2" in finding
    # The service notices as well, with its next one.
    with capture_logs() as logs:
        await keeping.keep_one(unless_within=timedelta(days=1))
    [line] = [one for one in logs if one["event"] == "checkpoints of the audit are not kept"]
    assert "which the database does not have" in line["error"]


@pytest.mark.parametrize("content", ["no json\n", '{"n": "two"}\n', "[]\n"])
async def test_a_file_of_something_else_is_left_as_it_is(
    database: Pool, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "something-else"
    file.write_text(content)
    await add(database)
    with capture_logs() as logs:
        await (await keeper(database, file)).keep_one(unless_within=NOW)
    assert [one["event"] for one in logs if one["log_level"] == "error"] == [
        "checkpoints of the audit are not kept"
    ]
    assert file.read_text() == content


async def test_that_they_are_not_kept_is_a_metric(database: Pool, tmp_path: Path) -> None:
    metrics, file = Metrics(), tmp_path / "folder"
    file.mkdir()
    async with acquire(database) as connection:
        signer = audit_signer(await KEYS.get_service_key(connection))
    keeping: Any = CheckpointKeeper(database, signer, CLOCK, metrics, file=file)
    await add(database)
    await keeping.keep_one(unless_within=NOW)
    assert "rdchat_audit_checkpoints_failing 1.0" in metrics.page().decode()
    file.rmdir()
    await keeping.keep_one(unless_within=NOW)
    assert "rdchat_audit_checkpoints_failing 0.0" in metrics.page().decode()
