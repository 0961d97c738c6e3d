"""A process that owns embedded stores, and what tests ask of the stores themselves."""

import asyncio
import contextlib
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import redis

from rdchat.local import stores as embedded

ROOT = Path(embedded.__file__).parents[3]
QUICK = {"fsync": "off"}

OWNER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from rdchat.local import stores as embedded
    data, template = Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2] else None
    if sys.argv[3] == "alone":  # as where the kernel cannot tell the servers that the service died
        embedded.EmbeddedPostgres.ask_to_end = embedded.EmbeddedRedis.ask_to_end = 0
    stores = embedded.EmbeddedStores(data, postgres=True, redis=True, template=template)
    stores.start()
    print("up", flush=True)
    sys.stdin.read()
    stores.stop()
""")


def processes_below(directory: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(directory) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@contextlib.contextmanager
def owner(data: Path, template: Path, *, follow: bool = True) -> Iterator[subprocess.Popen[str]]:
    """A process that owns the stores of `data`, like `serve`."""
    command = [sys.executable, "-c", OWNER, str(data), str(template), "follow" if follow else "alone"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(20)


def sql(url: str, statement: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


def cached(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True)


def record(data: Path) -> dict[str, int]:
    return json.loads((data / "running.json").read_text())
