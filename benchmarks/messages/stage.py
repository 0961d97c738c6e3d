"""What every contender finds: one PostgreSQL, one Redis, one Ably endpoint, and sessions that are open."""

from __future__ import annotations

import random
import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from benchmarks.crowd import open_all, plant
from benchmarks.messages.generator import Speaker
from benchmarks.service import ABLY_KEYS, JWT_SECRET
from rdchat.common.clock import SystemClock
from rdchat.domain.person import Caller, Role
from rdchat.local.ably import AblyLocal
from rdchat.local.ably.limits import Limits
from rdchat.local.stores import EmbeddedPostgres, EmbeddedRedis
from rdchat.postgres import pool
from rdchat.postgres.migrate import migrate
from rdchat.security.caller_tokens import CallerTokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from uuid import UUID

#: One session in so many has a listener: enough to see delivery by, and cheap.
WATCHED_SHARE = 20


@dataclass(frozen=True, slots=True)
class Stores:
    """Running stores, in processes of their own. `database_url` is the superuser's."""

    directory: Path
    database_url: str
    owner_url: str
    service_url: str
    redis_url: str


@dataclass(frozen=True, slots=True)
class Stage:
    """The stores, the endpoint (in this process), and who may talk.

    `watched` are the sessions that are listened to.
    """

    stores: Stores
    ably: AblyLocal
    connection: asyncpg.Connection[asyncpg.Record]
    speakers: list[Speaker]
    watched: list[str]

    async def commits(self) -> int:
        """Count the transactions that PostgreSQL has committed so far."""
        await self.connection.execute("SELECT pg_stat_clear_snapshot()")
        count: int = await self.connection.fetchval(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        )
        return count


@contextmanager
def stores() -> Iterator[Stores]:
    """Start the stores as `make run` has them, every commit on disk, in a directory that goes away."""
    with tempfile.TemporaryDirectory(prefix="rdchat-bench-") as directory:
        postgres = EmbeddedPostgres(Path(directory) / "postgres")
        redis = EmbeddedRedis(Path(directory) / "redis")
        try:
            yield Stores(
                Path(directory),
                postgres.start(),
                postgres.owner_address,
                postgres.service_address,
                redis.start(),
            )
        finally:
            redis.stop()
            postgres.stop()


@asynccontextmanager
async def stage(running: Stores, *, sessions: int, recorded: int = 1) -> AsyncIterator[Stage]:
    """Open `sessions` sessions for hours, and an endpoint that remembers the last `recorded` events."""
    ably = AblyLocal(keys=ABLY_KEYS, limits=Limits(recorded=recorded, history_messages=10))
    await ably.start()
    database = await pool.connect(running.owner_url)
    await migrate(database)
    await pool.close(database)
    connection = await asyncpg.connect(running.database_url)
    try:
        await open_crowd(connection, sessions)
        speakers = await speakers_of(connection)
        watched = sorted({one.session_id for one in speakers if one.watched})
        yield Stage(running, ably, connection, speakers, watched)
    finally:
        await connection.close()
        await ably.close()


async def open_crowd(connection: asyncpg.Connection[asyncpg.Record], sessions: int) -> None:
    """Seed sessions and open them: for hours, so that nothing falls due while they are talked in."""
    now = SystemClock().now()
    await plant(
        connection,
        sessions=sessions,
        first=now - timedelta(minutes=1),
        spread=timedelta(0),
        length=timedelta(hours=4),
        initial_message_lead=timedelta(minutes=10),
        end_warning_lead=timedelta(minutes=5),
        at=now - timedelta(hours=1),
        checked=False,
    )
    await open_all(connection, now)


async def speakers_of(connection: asyncpg.Connection[asyncpg.Record]) -> list[Speaker]:
    """Return all who may send messages, in random order."""
    rows = await connection.fetch(
        "SELECT id, client_id, psychologist_id FROM chat_sessions "
        "WHERE status IN ('active', 'ending_soon') ORDER BY id"
    )
    tokens = Tokens()
    speakers = [
        Speaker(str(row["id"]), tokens.of(row[whose], role), watched=number % WATCHED_SHARE == 0)
        for number, row in enumerate(rows)
        for whose, role in (("client_id", Role.CLIENT), ("psychologist_id", Role.PSYCHOLOGIST))
    ]
    # Neighbours in the list would be neighbours in the tables as well.
    random.Random(7).shuffle(speakers)  # noqa: S311 - an order, not a secret
    return speakers


class Tokens:
    """Tokens that the contenders accept, one for each person."""

    def __init__(self) -> None:
        self._issuer = CallerTokens(
            algorithms=("HS256",),
            issuer="rdchat",
            audience="rdchat",
            clock=SystemClock(),
            secret=JWT_SECRET,
        )
        self._issued: dict[UUID, str] = {}

    def of(self, person_id: UUID, role: Role) -> str:
        """Return the token of a person."""
        token = self._issued.get(person_id)
        if token is None:
            caller = Caller(person_id, role, f"{role.value.title()} {str(person_id)[:8]}")
            token = self._issued[person_id] = self._issuer.issue(caller, lifetime=timedelta(hours=4))
        return token
