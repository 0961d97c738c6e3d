"""The service under test, in a process of its own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import re
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from rdchat.common.telemetry import Metrics
from rdchat.postgres.data_keys import DataKeys
from rdchat.security.encryption import KeyRing

if TYPE_CHECKING:
    from datetime import timedelta

JWT_SECRET = "b7QkXw1Zr8Tn4Hc9Ms2Vp6Yd3Lf5Gj0A"  # noqa: S105 - it guards nothing
#: The key of the tests' services as well, for which sessions are seeded in the same way.
ENCRYPTION_KEYS = {"test": hashlib.sha256(b"of tests").digest()}
ABLY_KEY = "rdchat.bench:secret-of-the-local-ably-key-0123456789"
#: The same, as an endpoint takes it: secrets by the names of their keys.
ABLY_KEYS = dict([ABLY_KEY.split(":", 1)])
_ROOT = Path(__file__).parents[1]
_SERVING = re.compile(r"serving on (http://\S+)")


def data_keys() -> DataKeys:
    """Return the data keys of a database whose service is started here."""
    return DataKeys(KeyRing(ENCRYPTION_KEYS), Metrics())


def family_seconds(process: psutil.Process) -> float:
    """Return the processor time of a process and all that came from it."""
    return sum(process_seconds(one) for one in [process, *process.children(recursive=True)])


def stores_seconds() -> dict[str, float]:
    """Return the processor time of the stores that this process has started."""
    spent: dict[str, float] = {}
    for child in psutil.Process().children():
        name = child.name()
        if "postgres" in name or "valkey" in name:
            part = "PostgreSQL" if "postgres" in name else "Redis"
            spent[part] = spent.get(part, 0.0) + family_seconds(child)
    return spent


def process_seconds(process: psutil.Process) -> float:
    """Return the processor time of a process, 0 of one that has ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


class Service:
    """One replica, of every role unless said otherwise. `base` is its address once it has started.

    `limits`: how much a person may have at once and ahead, as by default; else anything. `cipher`: what is
    said is encrypted on its way.
    """

    def __init__(
        self,
        directory: Path,
        database_url: str,
        redis_url: str,
        ably: str,
        initial_message_lead: timedelta,
        *,
        roles: str = "api,worker,relay",
        processes: int = 1,
        limits: bool = False,
        rate_limits: str = "off",
        cipher: bool = False,
    ) -> None:
        self.base = ""
        data = Path(tempfile.mkdtemp(prefix="data-", dir=directory))
        secrets = {"jwt_secret": "", "encryption_keys": "", "ably_key": ABLY_KEY}
        (data / "secrets.json").write_text(json.dumps(secrets))
        own = {
            "RDCHAT_PORT": "0",
            "RDCHAT_DATA_DIR": str(data),
            "RDCHAT_DATABASE_URL": database_url,
            "RDCHAT_REDIS_URL": redis_url,
            "RDCHAT_ABLY_ENDPOINT": ably,
            "RDCHAT_JWT_SECRET": JWT_SECRET,
            "RDCHAT_ENCRYPTION_KEYS": ",".join(
                f"{kid}:{base64.b64encode(key).decode()}" for kid, key in ENCRYPTION_KEYS.items()
            ),
            "RDCHAT_INITIAL_MESSAGE_LEAD": str(initial_message_lead.total_seconds()),
            "RDCHAT_ROLES": roles,
            # One person writes as many do. What is empty is as it is by default.
            "RDCHAT_RATE_LIMITS": rate_limits,
            "RDCHAT_ABLY_CIPHER": str(cipher),
            "RDCHAT_DRAIN_SECONDS": "0",
            "PYTHONUNBUFFERED": "1",
        }
        if not limits:
            # A crowd shares a few psychologists.
            own["RDCHAT_MAX_ACTIVE_PER_PSYCHOLOGIST"] = own["RDCHAT_MAX_PENDING_PER_CLIENT"] = "1000000"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RDCHAT_")}
        self._environment = inherited | own
        self._options = ["--processes", str(processes)] if processes > 1 else []
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._serves = asyncio.Event()
        self._last: deque[str] = deque(maxlen=30)

    async def start(self) -> None:
        """Start, and wait until it serves."""
        self._serves.clear()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(_ROOT / "run.py"), "serve", *self._options),
            cwd=_ROOT,
            env=self._environment,
            stdout=PIPE,
            stderr=STDOUT,
        )
        self._reader = asyncio.create_task(self._read())
        async with asyncio.timeout(60):
            await self._serves.wait()
        if not self.base:
            raise RuntimeError("\n".join(["the service ended before it served:", *self._last]))

    @property
    def pid(self) -> int:
        """The process of the service."""
        if self._process is None:
            raise RuntimeError("the service was not started")
        return self._process.pid

    def memory_mib(self) -> float:
        """Return the memory of the service, resident, in MiB."""
        return float(psutil.Process(self.pid).memory_info().rss / 2**20)

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time so far of the replica, the stores, and this process with its endpoint."""
        spent = {
            "Ably endpoint": process_seconds(psutil.Process()),
            "rdchat": family_seconds(psutil.Process(self.pid)),
        }
        return spent | stores_seconds()

    async def stop(self) -> None:
        """Ask it to end, and wait."""
        if self._process is not None and self._reader is not None:
            self._process.terminate()
            await self._process.wait()
            await self._reader
            self._process = None

    async def _read(self) -> None:
        stream = self._process.stdout if self._process else None
        while stream is not None and (line := await stream.readline()):
            text = line.decode(errors="replace").rstrip()
            if found := _SERVING.search(text):
                self.base = found[1]
                self._serves.set()
            else:
                self._last.append(text)
            if "[error" in text or "[warning" in text:
                sys.stderr.write(f"service: {text}\n")
        self._serves.set()
