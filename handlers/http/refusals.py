"""Refused callers, counted and logged: who, at which route, why; nothing of what they sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog
from aiohttp import web

from rdchat.security.refusals import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rdchat.common.errors import RdchatError
    from rdchat.common.telemetry import Metrics

log = structlog.get_logger(__name__)

#: Who calls, once their token was verified.
CALLER_ID: Final = web.RequestKey("caller_id", UUID)
#: The statuses that a caller is refused with who is not known, or may not.
STATUSES: Final = frozenset({401, 403})
#: So many lines at once, and then so many a second: an attack is seen in the metrics, and fills no disk.
_AT_ONCE: Final = 30.0
_A_SECOND: Final = 1.0


class Refusals:
    """Counts each refusal, and logs as many as are read. `now` is a monotonic clock in seconds."""

    def __init__(self, metrics: Metrics, now: Callable[[], float]) -> None:
        self._metrics = metrics
        self._now = now
        self._left = _AT_ONCE
        self._counted_at = now()
        self._not_logged = 0

    def note(self, request: web.Request, error: RdchatError, request_id: str) -> None:
        """Count one, and log it if there is room."""
        reason = reason_of(error)
        self._metrics.refusal(error.code, reason)
        now = self._now()
        self._left = min(_AT_ONCE, self._left + (now - self._counted_at) * _A_SECOND)
        self._counted_at = now
        if self._left < 1:
            self._not_logged += 1
            return
        self._left -= 1
        resource = request.match_info.route.resource
        person_id = request.get(CALLER_ID)
        log.info(
            "a caller was refused",
            code=error.code.value,
            reason=reason,
            # Not the path: ids are in it, and whatever a stranger wrote.
            route=resource.canonical if resource is not None else "",
            method=request.method,
            person=str(person_id) if person_id is not None else None,
            request_id=request_id,
            not_logged_before=self._not_logged,
        )
        self._not_logged = 0
