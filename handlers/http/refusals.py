"""Refused callers, counted and logged: who, at which route, why; nothing of what they sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from rdchat.security.refusals import reason_of
from rdchat.services.audit import RefusalKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from rdchat.common.errors import RdchatError
    from rdchat.common.telemetry import Metrics

log = structlog.get_logger(__name__)

#: The statuses that a caller is refused with who is not known, or may not.
STATUSES: Final = frozenset({401, 403})
#: So many lines at once, and then so many a second: an attack is seen in the metrics, and fills no disk.
_AT_ONCE: Final = 30.0
_A_SECOND: Final = 1.0


class Refusals:
    """Counts each refusal, logs as many as are read, and has all of them written down.

    `now` is a monotonic clock in seconds; `write_down` takes each for the audit.
    """

    def __init__(
        self, metrics: Metrics, now: Callable[[], float], write_down: Callable[[RefusalKey], None]
    ) -> None:
        self._metrics = metrics
        self._write_down = write_down
        self._now = now
        self._left = _AT_ONCE
        self._counted_at = now()
        self._not_logged = 0

    def note(
        self,
        error: RdchatError,
        *,
        route: str,
        method: str,
        person_id: UUID | None,
        subject_id: UUID | None,
        request_id: str,
    ) -> None:
        """Count one, and log it if there is room. `route` is the path as declared, not as asked for."""
        reason = reason_of(error)
        self._metrics.refusal(error.code, reason)
        self._write_down(RefusalKey(error.code, f"{method} {route}", person_id, subject_id))
        now = self._now()
        self._left = min(_AT_ONCE, self._left + (now - self._counted_at) * _A_SECOND)
        self._counted_at = now
        if self._left < 1:
            self._not_logged += 1
            return
        self._left -= 1
        log.info(
            "a caller was refused",
            code=error.code.value,
            reason=reason,
            # Not the path that was asked for: ids are in it, and whatever a stranger wrote.
            route=route,
            method=method,
            person=str(person_id) if person_id is not None else None,
            request_id=request_id,
            not_logged_before=self._not_logged,
        )
        self._not_logged = 0
