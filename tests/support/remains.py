"""What a service leaves behind: in PostgreSQL, in Redis, and in the files of both and its own."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import redis.asyncio

from rdchat.local.stores.programs import postgres_programs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_SEGMENT: Final = 16 * 1024 * 1024
_RELATIONS: Final = """
SELECT string_agg(pg_read_binary_file(pg_relation_filepath(oid)), ''::bytea)
  FROM pg_class WHERE pg_relation_filepath(oid) IS NOT NULL AND oid >= 16384
"""


class PostgresRemains:
    """What PostgreSQL has of one database, from an instant on. `url` is the superuser's of that database."""

    def __init__(self, url: str, connection: asyncpg.Connection[asyncpg.Record], since: int) -> None:
        self._url = url
        self._connection = connection
        self._since = since

    @classmethod
    @asynccontextmanager
    async def watching(cls, url: str) -> AsyncIterator[PostgresRemains]:
        connection = await asyncpg.connect(url)
        yield cls(
            url, connection, _position(await connection.fetchval("SELECT pg_current_wal_insert_lsn()::text"))
        )
        await connection.close()

    async def take(self) -> dict[str, bytes]:
        """Take a dump, the log written ahead, the tables as they lie in files, and the server's log."""
        wal = await self._wal()
        await self._connection.execute("CHECKPOINT")
        taken = {
            "dump": await self._dump(),
            "WAL": wal,
            "tables": await self._connection.fetchval(_RELATIONS),
        }
        log = Path(await self._connection.fetchval("SHOW data_directory")).parent / "server.log"
        if log.exists():
            taken["PostgreSQL's log"] = log.read_bytes()
        return taken

    async def _dump(self) -> bytes:
        dumping = await asyncio.create_subprocess_exec(
            postgres_programs() / "pg_dump", "--dbname", self._url, stdout=asyncio.subprocess.PIPE
        )
        dump, _ = await dumping.communicate()
        assert dumping.returncode == 0
        return dump

    async def _wal(self) -> bytes:
        # Before anything is written anew: segments that are no longer needed are overwritten.
        end = _position(await self._connection.fetchval("SELECT pg_switch_wal()::text"))
        segments = range(self._since // _SEGMENT, (end - 1) // _SEGMENT + 1)
        read = [await self._segment(number) for number in segments]
        start = self._since - segments[0] * _SEGMENT
        return b"".join(read)[start : start + end - self._since]

    async def _segment(self, number: int) -> bytes:
        content: bytes = await self._connection.fetchval(
            "SELECT pg_read_binary_file('pg_wal/' || pg_walfile_name(($1::text)::pg_lsn))",
            # The first byte of a segment is counted to the one before.
            f"{number * _SEGMENT >> 32:X}/{(number * _SEGMENT & 0xFFFFFFFF) + 1:X}",
        )
        return content


def _position(lsn: str) -> int:
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


class RedisRemains:
    """What Redis has, and what it has written to its file from an instant on."""

    def __init__(self, client: Any, folder: Path, before: dict[Path, int]) -> None:
        self._client = client
        self._folder = folder
        self._before = before

    @classmethod
    @asynccontextmanager
    async def watching(cls, url: str) -> AsyncIterator[RedisRemains]:
        client: Any = redis.asyncio.Redis.from_url(url)
        settings = await client.config_get("dir", "appenddirname")
        folder = Path(settings["dir"]) / settings["appenddirname"]
        yield cls(client, folder, {file: file.stat().st_size for file in folder.glob("*")})
        await client.aclose()

    async def take(self) -> dict[str, bytes]:
        """Take every key with its value, what was appended to the file, and the server's log."""
        parts = []
        async for key in self._client.scan_iter(count=1000):
            parts += [key, await self._client.dump(key) or b""]
        taken = {"Redis": b"\n".join(parts)}
        if self._folder.exists():
            taken["AOF"] = b"".join(
                file.read_bytes()[self._before.get(file, 0) :] for file in sorted(self._folder.glob("*"))
            )
        log = self._folder.parent.parent / "server.log"
        if log.exists():
            taken["Valkey's log"] = log.read_bytes()
        return taken


def files_below(folder: Path) -> bytes:
    """Return the names and the contents of all files below a folder."""
    files = (Path(top) / name for top, _, names in os.walk(folder) for name in names)
    return b"".join(os.fsencode(file) + b"\n" + file.read_bytes() for file in files if file.is_file())


def flat(value: object) -> Iterator[bytes]:
    """Yield the texts and bytes of what consists of lists and objects."""
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from flat(name)
            yield from flat(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from flat(one)
    else:
        yield str(value).encode()
