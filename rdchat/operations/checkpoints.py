"""Makes checkpoints of the audit, and keeps a copy of them outside of the database: in a file.

A file that is appended to elsewhere - on another disk, in a log that is shipped - cannot be changed by those
who get at the database.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import UnavailableError
from rdchat.postgres.audit_checkpoints import list_checkpoints, make_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from rdchat.common.clock import Clock
    from rdchat.common.telemetry import Metrics
    from rdchat.postgres.pool import Pool
    from rdchat.security.signing import Signer

log = structlog.get_logger(__name__)

EVERY: Final = timedelta(minutes=1)
#: So far back the last line of a file is looked for; a checkpoint has some 900 bytes.
_LAST_LINE_BYTES: Final = 64 * 1024


class CheckpointFileError(Exception):
    """The file does not continue what the database has; its text says how."""


class CheckpointKeeper:
    """Makes a checkpoint every minute in which something was written, and appends it to a file, if set.

    Any number of replicas may do so: one of them makes it, each has its own file or shares one.
    """

    def __init__(
        self, pool: Pool, signer: Signer, clock: Clock, metrics: Metrics, *, file: Path | None
    ) -> None:
        self._pool = pool
        self._signer = signer
        self._clock = clock
        self._file = file
        self._task: asyncio.Task[None] | None = None
        self._failed = False
        metrics.gauge(
            "rdchat_audit_checkpoints_failing",
            "Whether checkpoints of the audit cannot be kept outside of the database: 0 or 1.",
            lambda: float(self._failed),
        )

    def start(self) -> None:
        """Begin to make them."""
        self._task = keep_running(self._run, "audit checkpoints")

    async def close(self) -> None:
        """Stop, with a last one."""
        await cancel(self._task)
        await self.keep_one(unless_within=timedelta())

    async def keep_one(self, *, unless_within: timedelta = EVERY) -> None:
        """Make a checkpoint if there is something new, and append to the file what it lacks."""
        try:
            await make_checkpoint(
                self._pool, self._signer, now=self._clock.now(), unless_within=unless_within
            )
            if self._file is not None:
                await self._append_missing(self._file)
        except UnavailableError:
            log.debug("a checkpoint of the audit is made later")
        except (OSError, CheckpointFileError) as error:
            if not self._failed:
                log.error(  # noqa: TRY400 - what it says is all there is to know
                    "checkpoints of the audit are not kept", file=str(self._file), error=str(error)
                )
            self._failed = True
        else:
            self._failed = False

    async def _append_missing(self, file: Path) -> None:
        last = await asyncio.to_thread(last_kept, file)
        while lines := await list_checkpoints(self._pool, after=last):
            last = await asyncio.to_thread(_append, file, lines)
        known = await list_checkpoints(self._pool, after=last - 1, limit=1)
        if last and not known:
            raise CheckpointFileError(
                f"its last checkpoint is number {last}, which the database does not have: rows were taken "
                "out of that, or it was restored from a backup. See run.py audit verify"
            )

    async def _run(self) -> None:
        while True:
            await self.keep_one()
            await asyncio.sleep(EVERY.total_seconds())


def last_kept(file: Path) -> int:
    """Return the number of the last checkpoint in a file, 0 for none. Raise CheckpointFileError."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, opened.seek(0, os.SEEK_END) - _LAST_LINE_BYTES))
            lines = opened.read().splitlines()
    except FileNotFoundError:
        return 0
    if not lines:
        return 0
    try:
        return int(orjson.loads(lines[-1])["n"])
    except (ValueError, LookupError, TypeError) as error:
        raise CheckpointFileError("its last line is no checkpoint") from error


def _append(file: Path, lines: list[tuple[int, str]]) -> int:
    """Append what others have not appended meanwhile. Return the number of the last one there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="ascii") as opened:
        # Processes of one machine may share the file.
        fcntl.flock(opened, fcntl.LOCK_EX)
        last = last_kept(file)
        opened.writelines(f"{line}\n" for n, line in lines if n > last)
        opened.flush()
        os.fsync(opened.fileno())
    return max(last, lines[-1][0])
