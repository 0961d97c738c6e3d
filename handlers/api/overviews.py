"""/operations/overview: the service at a glance, for a page that asks every few seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers import schemas
from handlers.api.presenters import maybe_iso
from handlers.http.routing import Answer, Call, Route
from rdchat.common.clock import iso
from rdchat.domain import permissions

if TYPE_CHECKING:
    from rdchat.domain.overview import LatenessMinute, Opening, PostgresqlStatus, SessionCounts
    from rdchat.operations.overview import Overview, ServiceStatus
    from rdchat.operations.store_status import QueueStatus, RedisStatus


async def get_overview(call: Call) -> Answer:
    """See at a glance how sessions stand and, as an administrator, how the service is.

    Parts are some seconds old at most, but for `pending`: `countedAt` says when it was counted. A part that
    cannot be had just now is null, and `problems` says why. Supervisors see sessions of their organisation.
    """
    seen = await call.runtime.overview.look(call.caller, call.query["timezone"])
    return Answer(_overview_json(seen), "Overview made successfully")


def _overview_json(seen: Overview) -> dict[str, Any]:
    shown = {
        "at": iso(seen.at),
        "countedAt": maybe_iso(seen.counted_at),
        "counts": _counts_json(seen.counts) if seen.counts is not None else None,
        "opening": (
            {"sessions": [_opening_json(one) for one in seen.openings[0]], "total": seen.openings[1]}
            if seen.openings is not None
            else None
        ),
        "lateness": ([_lateness_json(one) for one in seen.lateness] if seen.lateness is not None else None),
        "problems": dict(sorted(seen.problems.items())),
    }
    return shown if seen.runs is None else shown | _service_json(seen.runs)


def _counts_json(counts: SessionCounts) -> dict[str, int]:
    return {
        "pending": counts.pending,
        "active": counts.active,
        "endingSoon": counts.ending_soon,
        "completedToday": counts.completed,
        "cancelledToday": counts.cancelled,
        "missedToday": counts.missed,
    }


def _opening_json(one: Opening) -> dict[str, Any]:
    return {
        "sessionId": str(one.session_id),
        "scheduledAt": iso(one.starts_at),
        "psychologist": {"id": str(one.psychologist_id), "fullName": one.psychologist_name},
        "clientId": str(one.client_id),
    }


def _lateness_json(one: LatenessMinute) -> dict[str, Any]:
    return {"minute": iso(one.minute), "count": one.count, "p50": one.p50, "p99": one.p99, "max": one.worst}


def _service_json(runs: ServiceStatus) -> dict[str, Any]:
    return {
        "queue": _queue_json(runs.queue) if runs.queue is not None else None,
        "outbox": (
            {"waiting": runs.outbox.waiting, "oldestAt": maybe_iso(runs.outbox.oldest_at)}
            if runs.outbox is not None
            else None
        ),
        "webhooks": (
            {"waiting": runs.webhooks.waiting, "dead": runs.webhooks.dead}
            if runs.webhooks is not None
            else None
        ),
        "ably": {
            "status": "failing" if runs.ably.is_refusing else "ok",
            "mode": "local" if runs.ably.is_local else "real",
        },
        "postgresql": _postgresql_json(runs.postgresql) if runs.postgresql is not None else None,
        "redis": _redis_json(runs.redis) if runs.redis is not None else None,
        "clock": {
            "status": "off" if runs.clock.problem is not None else "ok",
            "offsetMs": runs.clock.offset_ms,
        },
        "replicas": runs.replicas,
    }


def _queue_json(queue: QueueStatus) -> dict[str, Any]:
    return {
        "scheduled": queue.scheduled,
        "leased": queue.leased,
        "due": queue.due,
        "oldestDueAt": maybe_iso(queue.oldest_due_at),
        "lateMs": queue.late_ms,
        "deadLetters": queue.dead_letters,
    }


def _postgresql_json(status: PostgresqlStatus) -> dict[str, Any]:
    return {
        "status": "ok",
        "latencyMs": round(status.latency_ms, 1),
        "connections": {"used": status.connections, "limit": status.most_connections},
        "pool": {"open": status.pool_open, "idle": status.pool_idle, "limit": status.pool_most},
    }


def _redis_json(status: RedisStatus) -> dict[str, Any]:
    return {
        "status": "ok",
        "latencyMs": round(status.latency_ms, 1),
        "usedMemory": status.used_memory,
        "maxMemory": status.most_memory or None,
        "clients": status.clients,
    }


ROUTES = (
    Route(
        method="GET",
        path="/operations/overview",
        handler=get_overview,
        summary="See the service at a glance",
        tag="Operations",
        done="The overview.",
        message="Overview made successfully",
        roles=permissions.OVERSEERS,
        query=schemas.OverviewQuery,
        data=schemas.OverviewAnswer,
    ),
)
