"""The shapes of the overview: the service at a glance."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, fields, validate

from handlers.schemas.answers import AnswerSchema, person
from handlers.schemas.parts import (
    BOOKED_AT,
    CLIENT_ID,
    SARI,
    SESSION_ID,
    START,
    about,
    choice,
    identity,
    instant,
    number,
    text,
    time_zone,
)
from rdchat import __version__
from rdchat.domain.overview import MOST_OPENINGS

_NOW: Final = "2030-01-15T06:58:00.250Z"
_REPLICA_ID: Final = "4b7e2a19-6c0d-4f85-9a3e-d1c8b5f07e62"


def milliseconds(key: str, description: str, example: float | None, **kwargs: Any) -> fields.Float:  # noqa: ANN401 - passed through
    """Make a field for a time in ms, with a fraction."""
    return fields.Float(required=True, data_key=key, metadata=about(description, example), **kwargs)


def part(schema: type[Schema], description: str, key: str | None = None) -> fields.Nested:
    """Make a field for a part that is null while it cannot be had, and left out for supervisors."""
    words = f"{description} Null while it cannot be had; left out for supervisors."
    return fields.Nested(schema, allow_none=True, data_key=key, metadata=about(words))


class OverviewQuery(Schema):
    """Choose what today is."""

    timezone = time_zone("The time zone of the day that `...Today` counts")


class OverviewCounts(AnswerSchema):
    """How many sessions stand where, and what became of those that ended today."""

    pending = number("pending", "How many have not opened.", 240)
    active = number("active", "How many are open.", 31)
    ending_soon = number("endingSoon", "How many are open and about to end.", 4)
    completed_today = number("completedToday", "How many were completed today.", 52)
    cancelled_today = number("cancelledToday", "How many were cancelled today, by people.", 3)
    missed_today = number("missedToday", "How many could not be opened in time today.", 0)


class OpeningSession(AnswerSchema):
    """A session that is to open soon."""

    session_id = identity("sessionId", "The session's id.", SESSION_ID)
    scheduled_at = instant("scheduledAt", "When the chat is to open.", START)
    psychologist = person("The psychologist.", SARI)
    client_id = identity("clientId", "The client's id.", CLIENT_ID)


class OpeningSessions(AnswerSchema):
    """The sessions that open within the next hour."""

    sessions = fields.List(
        fields.Nested(OpeningSession),
        required=True,
        metadata=about(f"The next of them, earliest first: {MOST_OPENINGS} at most."),
    )
    total = number("total", "How many there are in all.", 1)


class LatenessOfMinute(AnswerSchema):
    """How late the automations were that ran within a minute. In milliseconds."""

    minute = instant("minute", "When the minute began.", "2030-01-15T06:50:00.000Z")
    count = number("count", "How many ran.", 12)
    p50 = number("p50", "Half of them were not later than this.", 4)
    p99 = number("p99", "Of 100, 99 were not later than this.", 11)
    worst = number("max", "The latest.", 12)


class QueueOverview(AnswerSchema):
    """The timers of automations and reminders."""

    scheduled = number(
        "scheduled",
        "How many wait in the delay queue, which holds those of a day; null without Redis.",
        960,
        allow_none=True,
    )
    leased = number("leased", "How many a worker has claimed; null without Redis.", 2, allow_none=True)
    due = number(
        "due",
        "How many should have run two seconds ago or earlier and were never tried; 1,000 at most.",
        0,
    )
    oldest_due_at = instant(
        "oldestDueAt", "Since when the oldest of these is due; null without any.", None, allow_none=True
    )
    late_ms = number("lateMs", "How long that is, in milliseconds; 0 without any.", 0)
    dead_letters = number("deadLetters", "How many were given up.", 1)


class OutboxOverview(AnswerSchema):
    """Realtime events that Ably has yet to take, by the commits that they come from."""

    waiting = number("waiting", "How many commits wait.", 0)
    oldest_at = instant("oldestAt", "Since when the oldest does; null without any.", None, allow_none=True)


class WebhooksOverview(AnswerSchema):
    """Webhooks."""

    waiting = number("waiting", "How many wait, or are tried again.", 0)
    dead = number("dead", "How many were given up.", 1)


class AblyOverview(AnswerSchema):
    """Ably, as the replica sees it that answers."""

    status = choice("status", "`failing`: it did not take what it was offered last.", ("ok", "failing"))
    mode = choice("mode", "Ably itself, or the local endpoint.", ("real", "local"))


class ConnectionsOverview(AnswerSchema):
    """Connections to the database, of all who have some."""

    used = number("used", "How many there are.", 14)
    limit = number("limit", "How many the server takes, for all of its databases.", 100)


class PoolOverview(AnswerSchema):
    """Connections to the database, of the replica that answers."""

    open = number("open", "How many it has.", 4)
    idle = number("idle", "How many of them are not in use.", 3)
    limit = number("limit", "How many it may have.", 10)


class PostgresqlOverview(AnswerSchema):
    """PostgreSQL."""

    status = choice("status", "That it answers.", ("ok",))
    latency_ms = milliseconds("latencyMs", "How long the shortest answer takes, in milliseconds.", 0.4)
    connections = fields.Nested(ConnectionsOverview, required=True, metadata=about("All connections."))
    pool = fields.Nested(PoolOverview, required=True, metadata=about("Those of this replica."))


class RedisOverview(AnswerSchema):
    """Redis; of a cluster, its primaries together."""

    status = choice("status", "That it answers.", ("ok",))
    latency_ms = milliseconds("latencyMs", "How long the shortest answer takes, in milliseconds.", 0.2)
    used_memory = number("usedMemory", "The memory in use, in bytes.", 1_843_200)
    max_memory = number(
        "maxMemory", "How much it may use, in bytes; null without a limit.", None, allow_none=True
    )
    clients = number("clients", "How many clients are connected.", 6)


class ClockOverview(AnswerSchema):
    """The clock of the machine that answers."""

    status = choice("status", "`off`: by more than half a second.", ("ok", "off"))
    offset_ms = milliseconds(
        "offsetMs",
        "How far it is ahead of PostgreSQL's, which is followed; null if not measured.",
        0.8,
        allow_none=True,
    )


class ReplicaOverview(AnswerSchema):
    """A replica, as it said itself some seconds ago."""

    id = identity("id", "Its id: another one after a restart.", _REPLICA_ID)
    name = text("name", "A short name, made of the id.", f"replica-{_REPLICA_ID[:6]}")
    roles = fields.List(
        fields.String(validate=validate.OneOf(("api", "worker", "relay"))),
        required=True,
        metadata=about("What it does.", ["api", "relay", "worker"]),
    )
    version = text("version", "Its version.", __version__)
    started_at = instant("startedAt", "When it started.", BOOKED_AT)
    seen_at = instant("seenAt", "When it said this.", _NOW)
    clock_offset_ms = milliseconds(
        "clockOffsetMs",
        "How far its machine's clock is ahead of PostgreSQL's; null if not measured.",
        0.8,
        allow_none=True,
    )
    encryption_keys = fields.List(
        fields.String(),
        data_key="encryptionKeys",
        required=True,
        metadata=about("The ids of its encryption keys, the one that encrypts first.", ["main"]),
    )
    live_sessions = number("liveSessions", "How many sessions it has in memory.", 35)
    commands_waiting = number("commandsWaiting", "How many commands of people wait for their answer.", 0)
    jobs_held = number(
        "jobsHeld", "How many timers it has claimed; null if it runs none.", 2, allow_none=True
    )
    outbox_held = number("outboxHeld", "How many commits it has yet to publish.", 0)


class OverviewAnswer(AnswerSchema):
    """The service at a glance."""

    at = instant("at", "When it was asked for.", _NOW)
    counted_at = instant(
        "countedAt",
        "When the sessions ahead were counted that `pending` rests on; null if they could not be.",
        "2030-01-15T06:57:41.000Z",
        allow_none=True,
    )
    counts = fields.Nested(
        OverviewCounts, required=True, allow_none=True, metadata=about("Sessions by where they stand.")
    )
    opening = fields.Nested(
        OpeningSessions, required=True, allow_none=True, metadata=about("What opens within the next hour.")
    )
    lateness = fields.List(
        fields.Nested(LatenessOfMinute),
        required=True,
        allow_none=True,
        metadata=about("The last hour, minute by minute; one without any automation is left out."),
    )
    problems = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata=about(
            "What is wrong with which part, in a sentence; empty if nothing is.",
            {"ably": "Ably does not take events; they are kept"},
        ),
    )
    queue = part(QueueOverview, "Timers.")
    outbox = part(OutboxOverview, "Events that wait for Ably.")
    webhooks = part(WebhooksOverview, "Webhooks.")
    ably = part(AblyOverview, "Ably.")
    postgresql = part(PostgresqlOverview, "PostgreSQL.")
    redis = part(RedisOverview, "Redis.")
    clock = part(ClockOverview, "The clock.")
    replicas = fields.List(
        fields.Nested(ReplicaOverview),
        allow_none=True,
        metadata=about(
            "The replicas that there are, the longest running first. Null while Redis is away; left out for "
            "supervisors."
        ),
    )
