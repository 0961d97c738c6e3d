"""What is left of the day: the rows of PostgreSQL, the delay queue, the stored files."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from rdchat.postgres.names import names_in
from rdchat.redis.connection import connect
from rdchat.redis.delay_queue import SHARDS, Job, ReminderKind, due_key, leases_key
from rdchat.redis.scripts import KEEPER
from rdchat.texts.notifications import with_names
from tests.support.keys import data_keys, read_texts

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    Row = dict[str, Any]

_TABLES = {
    "counselings": "SELECT * FROM counselings ORDER BY starts_at",
    "sessions": "SELECT * FROM chat_sessions ORDER BY starts_at",
    "messages": "SELECT * FROM messages ORDER BY session_id, seq",
    "automations": "SELECT * FROM automations ORDER BY session_id, schedule_version, due_at, kind",
    "timeline": "SELECT * FROM timeline ORDER BY session_id, version, position",
    "reads": "SELECT * FROM reads ORDER BY session_id, person_id, read_at, up_to_seq",
    "notifications": """
        SELECT n.*, c.client_id, client.sealed_name AS client_sealed,
               psychologist.sealed_name AS psychologist_sealed
          FROM notifications n JOIN counselings c ON c.id = n.counseling_id
          JOIN people client ON client.id = c.client_id
          JOIN people psychologist ON psychologist.id = n.psychologist_id ORDER BY n.created_at
    """,
    "attachments": "SELECT * FROM attachments",
    "outbox": "SELECT * FROM outbox",
}


@dataclass
class Record:
    """Everything, read at one time. Of each table by session: see `of`. Messages have their `text`."""

    tables: dict[str, list[Row]]
    jobs: list[Job]
    files: set[str]

    def __post_init__(self) -> None:
        self._by_session: dict[str, dict[UUID, list[Row]]] = {}
        for name, rows in self.tables.items():
            found: dict[UUID, list[Row]] = defaultdict(list)
            for row in rows:
                found[row.get("session_id") or row["id"]].append(row)
            self._by_session[name] = found

    def __getitem__(self, table: str) -> list[Row]:
        return self.tables[table]

    def of(self, table: str, session: Row) -> list[Row]:
        return self._by_session[table].get(session["id"], [])

    @property
    def jobs_without_use(self) -> list[tuple[Job, str]]:
        """What the delay queue holds of sessions that are over, or of plans that were replaced."""
        sessions = {row["id"]: row for row in self["sessions"]}
        return [
            (job, sessions[job.subject_id]["status"])
            for job in self.jobs
            if job.kind is not ReminderKind.REMINDER
            and (
                sessions[job.subject_id]["ended_at"] is not None
                or sessions[job.subject_id]["schedule_version"] != job.number
            )
        ]

    @property
    def is_quiet(self) -> bool:
        """Whether everything was delivered, and the queue has forgotten what is over."""
        return not self["outbox"] and not self.jobs_without_use


def _stored(files: Path) -> set[str]:
    return {f"{path.parent.name}/{path.name}" for path in files.rglob("*") if path.is_file()}


async def read_record(database_url: str, redis_url: str, files: Path) -> Record:
    connection: Any = await asyncpg.connect(database_url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            tables = {
                name: [dict(row) for row in await connection.fetch(sql)] for name, sql in _TABLES.items()
            }
            texts = await read_texts(connection)
            names = await names_in(connection, data_keys(), tables["notifications"])
    finally:
        await connection.close()
    for row in tables["messages"]:
        row["text"] = texts[row["id"]]
    for row in tables["notifications"]:
        client, psychologist = names[row["client_id"]], names[row["psychologist_id"]]
        row["message"] = with_names(row["message"], client=client, psychologist=psychologist)
    store = connect(redis_url)
    try:
        jobs = [
            Job.from_member(member)
            for shard in range(SHARDS)
            for key in (due_key(shard), leases_key(shard))
            for member in await store.one("ZRANGE", key, 0, -1)
            if member != KEEPER.encode()
        ]
    finally:
        await store.aclose()
    return Record(tables, jobs, _stored(files))
