"""The retry policy: what becomes of a delivery after an attempt: delivered, retried, or given up."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from rdchat.webhooks.sender import SendError, WebhookResponse

if TYPE_CHECKING:
    from collections.abc import Callable

#: With the pauses below, the last attempt is made about a day after the first.
ATTEMPTS: Final = 10
_FIRST_PAUSE_SECONDS: Final = 5.0
_FACTOR: Final = 4
_LONGEST_PAUSE_SECONDS: Final = 8 * 3600.0
_JITTER: Final = 0.2
_LONGEST_WAIT: Final = timedelta(seconds=_LONGEST_PAUSE_SECONDS)
#: Statuses of an overloaded receiver; its `Retry-After` then applies to all deliveries to it.
_BUSY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_SUCCESS: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver accepted it."""

    status: int


@dataclass(frozen=True, slots=True)
class Retry:
    """To be tried again after `pause`; for `rest`, the receiver wants no deliveries at all."""

    reason: str
    status: int | None
    pause: timedelta
    rest: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Given up."""

    reason: str
    status: int | None


def pause_after(attempts: int, jitter: Callable[[float, float], float] = random.uniform) -> timedelta:
    """Return the pause after so many attempts: 5 s, 20 s, 80 s, ... up to 8 hours, a fifth more or less."""
    full = min(_FIRST_PAUSE_SECONDS * _FACTOR ** min(attempts - 1, 20), _LONGEST_PAUSE_SECONDS)
    return timedelta(seconds=full * jitter(1 - _JITTER, 1 + _JITTER))


def decide(
    result: WebhookResponse | SendError, attempts: int, pause: Callable[[int], timedelta] = pause_after
) -> Delivered | Retry | GiveUp:
    """Decide what to do after attempt number `attempts`.

    410 (Gone) is how a receiver says that it wants no more; any other answer but success may be a fault that
    is repaired within the day, redirects and refused signatures included.
    """
    if isinstance(result, SendError):
        return _failed(str(result), None, attempts, pause(attempts))
    if result.status in _SUCCESS:
        return Delivered(result.status)
    reason = f"answered {result.status}"
    if result.status == HTTPStatus.GONE:
        return GiveUp(reason, result.status)
    wait = timedelta(0)
    if result.status in _BUSY and result.retry_after is not None:
        wait = min(result.retry_after, _LONGEST_WAIT)
    return _failed(reason, result.status, attempts, pause(attempts), wait)


def _failed(
    reason: str, status: int | None, attempts: int, pause: timedelta, wait: timedelta = timedelta(0)
) -> Retry | GiveUp:
    if attempts >= ATTEMPTS:
        return GiveUp(reason, status)
    # Never sooner than without `Retry-After`, or the attempts would be used up within seconds.
    return Retry(reason, status, max(pause, wait), rest=wait)
