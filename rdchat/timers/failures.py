"""What becomes of a job that was fired: settled, tried again after a pause, or given up."""

from __future__ import annotations

import random
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.errors import UnavailableError
from rdchat.postgres import automations, reminders
from statemachine import AutomationKind, Refusal, RefusalCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from rdchat.common.clock import Clock
    from rdchat.common.telemetry import Metrics
    from rdchat.engine.result import CommandResult
    from rdchat.postgres.pool import Pool
    from rdchat.redis.delay_queue import Job

log = structlog.get_logger(__name__)

#: After so many failures a job becomes a dead letter; the end of a session never does.
_ATTEMPTS: Final = 8
_FIRST_BACKOFF_MS: Final = 200
_LONGEST_BACKOFF_MS: Final = 60_000
#: While PostgreSQL is away, every job waits about this long: it is not its fault.
_AWAY_MS: Final = 500


class Failures:
    """Decides by its result whether a job is settled or tried again, and counts failures."""

    def __init__(self, pool: Pool, clock: Clock, metrics: Metrics) -> None:
        self._pool = pool
        self._clock = clock
        self._metrics = metrics

    async def judge(self, job: Job, result: CommandResult | Refusal | BaseException | None) -> int | None:
        """Return after how many ms to try a fired job again; None when it is settled."""
        match result:
            case Refusal(code=RefusalCode.NOT_DUE):
                return 1
            case Refusal(code=RefusalCode.SETTLED):
                self._metrics.settled_before.labels(job.kind.value).inc()
            case UnavailableError():
                return _jittered(_AWAY_MS)
            case BaseException() as error:
                return await self._failed(job, error)
        return None

    async def _failed(self, job: Job, error: BaseException) -> int | None:
        # Its text may quote what people wrote; a session shows the reason to all who may see its state.
        reason = _classes_of(error)
        try:
            rows = automations if isinstance(job.kind, AutomationKind) else reminders
            attempts = await rows.count_failure(self._pool, job, reason)
            if attempts is None:
                return None
            if attempts >= _ATTEMPTS and job.kind is not AutomationKind.AUTO_END:
                await rows.give_up(self._pool, job, self._clock.now())
                self._metrics.dead_letter(job.kind.value)
                subject, place = str(job.subject_id), _place_of(error)
                log.error("a job is given up", subject=subject, kind=job.kind, why=reason, place=place)
                return None
        except UnavailableError:
            return _jittered(_AWAY_MS)
        except Exception:
            log.exception("a failure could not be noted", subject=str(job.subject_id), kind=job.kind)
            return _jittered(_AWAY_MS)
        delay_ms = backoff_ms(attempts)
        log.warning(
            "a job failed",
            subject=str(job.subject_id),
            kind=job.kind,
            why=reason,
            again_in_ms=delay_ms,
        )
        return delay_ms


def backoff_ms(attempts: int, jitter: Callable[[float, float], float] = random.uniform) -> int:
    """Return the pause before the next attempt: doubled each time, capped, half of it random."""
    full = min(_FIRST_BACKOFF_MS * 2 ** (attempts - 1), _LONGEST_BACKOFF_MS)
    return round(jitter(full / 2, full))


def _classes_of(error: BaseException) -> str:
    """Name an error and what it was raised from, without their texts: `ValueError from KeyError`."""
    cause = f" from {_classes_of(error.__cause__)}" if error.__cause__ is not None else ""
    return type(error).__name__ + cause


def _place_of(error: BaseException) -> str:
    """Say where an error was raised, which names it without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""


def _jittered(milliseconds: int) -> int:
    return round(random.uniform(milliseconds / 2, milliseconds))  # noqa: S311 - spreads load, guards nothing
