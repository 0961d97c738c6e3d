"""The statements of the group commit, put together from parts: a part for each kind of row.

Longer than other modules because what is written together is read together.
"""

from __future__ import annotations

from typing import Final

from rdchat.postgres import audit, webhooks

#: A part of a statement, and how many parameters it has: `{n}` stands for the n-th of them, counted from 0.
StatementPart = tuple[str, int]

# Rows are locked in one order everywhere, so that two commits never wait for each other in a circle. The two
# people are compared as well: no one else can have said anything, whatever the snapshot told.
TALK_SESSION: StatementPart = (
    """
WITH input AS (
    SELECT * FROM unnest({0}::uuid[], {1}::bigint[], {2}::int[], {3}::timestamptz[], {4}::uuid[],
                         {5}::uuid[], {6}::bigint[], {7}::bigint[])
        AS t (id, expected, said, updated_at, client_id, psychologist_id, known_seq, covered_seq)
),
locked AS (
    SELECT s.id FROM chat_sessions s JOIN input i ON s.id = i.id AND s.state_version = i.expected
    ORDER BY s.id FOR UPDATE OF s
),
won AS (
    UPDATE chat_sessions s
    SET version = s.version + 1, last_seq = s.last_seq + i.said,
        updated_at = greatest(s.updated_at, i.updated_at)
    FROM input i JOIN locked l ON l.id = i.id
    WHERE s.id = i.id AND s.state_version = i.expected
      AND s.client_id = i.client_id AND s.psychologist_id = i.psychologist_id
      AND s.last_seq BETWEEN i.known_seq AND i.covered_seq
    RETURNING s.id, s.version, s.last_seq, s.outcome, i.said
)""",
    8,
)
# A message is bound to its place by a code of 16 bytes, which only the service can make: it brings one for
# each place that its message may get, counted from the one that it expects.
TALK_MESSAGE: StatementPart = (
    """
message AS (
    INSERT INTO messages (session_id, seq, id, sender_id, message_type, body, client_message_id, created_at,
                          mac)
    SELECT m.session_id, w.last_seq - w.said + m.place, m.id, m.sender_id, m.message_type, m.body,
           m.client_message_id, m.created_at,
           substring(m.macs FROM (1 + 16 * (w.last_seq - w.said + m.place - m.seq))::int FOR 16)
    FROM unnest({0}::uuid[], {1}::bigint[], {2}::uuid[], {3}::uuid[], {4}::text[], {5}::bytea[], {6}::text[],
                {7}::timestamptz[], {8}::bytea[], {9}::bigint[])
        AS m (session_id, place, id, sender_id, message_type, body, client_message_id, created_at, macs, seq)
    JOIN won w ON w.id = m.session_id
)""",
    10,
)
TALK_OUTBOX_ENTRY: StatementPart = (
    """
entry AS (
    INSERT INTO outbox (session_id, version, id, first_seq, messages, created_at, lease_until)
    SELECT p.session_id, w.version, p.id, w.last_seq - w.said + 1, w.said, p.created_at,
           clock_timestamp() + {3}::interval
    FROM unnest({0}::uuid[], {1}::bigint[], {2}::timestamptz[]) AS p (session_id, id, created_at)
    JOIN won w ON w.id = p.session_id
)""",
    3,
)
SESSION: StatementPart = (
    """
WITH input AS (
    SELECT * FROM unnest({0}::uuid[], {1}::bigint[], {2}::bigint[], {3}::timestamptz[], {4}::text[],
                         {5}::timestamptz[], {6}::timestamptz[], {7}::text[], {8}::text[], {9}::bytea[],
                         {10}::boolean[], {11}::boolean[], {12}::uuid[], {13}::uuid[])
        AS t (id, expected, last_seq, updated_at, status, started_at, ended_at, end_reason,
              counseling_status, cancel_reason, client_spoke, psychologist_spoke, client_id, psychologist_id)
),
locked AS (
    SELECT s.id FROM chat_sessions s JOIN input i ON s.id = i.id AND s.version = i.expected
    ORDER BY s.id FOR UPDATE OF s
),
won AS (
    UPDATE chat_sessions s
    SET version = s.version + 1, state_version = s.version + 1, status = i.status, last_seq = i.last_seq,
        started_at = i.started_at, ended_at = i.ended_at, end_reason = i.end_reason,
        updated_at = i.updated_at,
        outcome = CASE WHEN i.status = 'completed' THEN
            CASE WHEN i.client_spoke OR was_there(s.id, s.client_id)
                 THEN CASE WHEN i.psychologist_spoke OR was_there(s.id, s.psychologist_id)
                           THEN 'held' ELSE 'psychologist_absent' END
                 ELSE CASE WHEN i.psychologist_spoke OR was_there(s.id, s.psychologist_id)
                           THEN 'client_absent' ELSE 'nobody_came' END END END
    FROM input i JOIN locked l ON l.id = i.id
    WHERE s.id = i.id AND s.version = i.expected
      AND s.client_id = i.client_id AND s.psychologist_id = i.psychologist_id
    RETURNING s.id, s.version, s.last_seq, s.outcome, s.counseling_id, i.counseling_status, i.cancel_reason,
              i.updated_at
),
counseling AS (
    UPDATE counselings c
    SET status = w.counseling_status, cancel_reason = coalesce(w.cancel_reason, c.cancel_reason),
        updated_at = w.updated_at
    FROM won w
    WHERE c.id = w.counseling_id AND w.counseling_status IS NOT NULL
)""",
    14,
)
MESSAGE: StatementPart = (
    """
message AS (
    INSERT INTO messages (session_id, seq, id, sender_id, message_type, body, client_message_id, created_at,
                          mac)
    SELECT m.* FROM unnest({0}::uuid[], {1}::bigint[], {2}::uuid[], {3}::uuid[], {4}::text[], {5}::bytea[],
                           {6}::text[], {7}::timestamptz[], {8}::bytea[])
        AS m (session_id, seq, id, sender_id, message_type, body, client_message_id, created_at, mac)
    WHERE m.session_id IN (SELECT id FROM won)
)""",
    9,
)
AUTOMATION: StatementPart = (
    """
automation AS (
    UPDATE automations a
    SET status = u.status, executed_at = u.executed_at, lateness_ms = u.lateness_ms, reason = u.reason
    FROM unnest({0}::uuid[], {1}::text[], {2}::int[], {3}::text[], {4}::timestamptz[], {5}::bigint[],
                {6}::text[])
        AS u (session_id, kind, schedule_version, status, executed_at, lateness_ms, reason)
    WHERE a.session_id = u.session_id AND a.kind = u.kind AND a.schedule_version = u.schedule_version
      AND a.session_id IN (SELECT id FROM won)
)""",
    7,
)
TIMELINE: StatementPart = (
    """
line AS (
    INSERT INTO timeline (session_id, version, position, command_id, trigger, actor_id, from_status,
                          to_status, planned_at, at, outcome, reason)
    SELECT t.* FROM unnest({0}::uuid[], {1}::bigint[], {2}::smallint[], {3}::uuid[], {4}::text[], {5}::uuid[],
                           {6}::text[], {7}::text[], {8}::timestamptz[], {9}::timestamptz[], {10}::text[],
                           {11}::text[])
        AS t (session_id, version, position, command_id, trigger, actor_id, from_status, to_status,
              planned_at, at, outcome, reason)
    WHERE t.session_id IN (SELECT id FROM won)
)""",
    12,
)
NOTIFICATION: StatementPart = (
    """
notification AS (
    INSERT INTO notifications (session_id, person_id, id, type, title, message, counseling_id,
                               psychologist_id, starts_at, ends_at, timezone, reason, created_at)
    SELECT n.* FROM unnest({0}::uuid[], {1}::uuid[], {2}::uuid[], {3}::text[], {4}::text[], {5}::text[],
                           {6}::uuid[], {7}::uuid[], {8}::timestamptz[], {9}::timestamptz[], {10}::text[],
                           {11}::bytea[], {12}::timestamptz[])
        AS n (session_id, person_id, id, type, title, message, counseling_id, psychologist_id, starts_at,
              ends_at, timezone, reason, created_at)
    WHERE n.session_id IN (SELECT id FROM won)
)""",
    13,
)
OUTBOX_ENTRY: StatementPart = (
    """
entry AS (
    INSERT INTO outbox (session_id, version, id, events, created_at, lease_until)
    SELECT p.*, clock_timestamp() + {5}::interval
    FROM unnest({0}::uuid[], {1}::bigint[], {2}::bigint[], {3}::bytea[], {4}::timestamptz[])
        AS p (session_id, version, id, events, created_at)
    WHERE p.session_id IN (SELECT id FROM won)
)""",
    5,
)
ATTACHMENT: StatementPart = (
    """
attached AS (
    INSERT INTO attachments (session_id, id, message_id, person_id, file_name, content_type, size, width,
                             height, duration_ms, created_at)
    SELECT u.session_id, u.id, u.message_id, a.person_id, a.file_name, a.content_type, a.size, a.width,
           a.height, a.duration_ms, a.created_at
    FROM unnest({0}::uuid[], {1}::uuid[], {2}::uuid[]) AS u (session_id, id, message_id)
    JOIN won w ON w.id = u.session_id
    LEFT JOIN attachments a ON a.session_id = u.session_id AND a.id = u.id AND a.message_id IS NULL
    -- The row is there, as a rule, and gets its message. One that the cleaner has taken has no name, which
    -- the table refuses: then nothing is committed.
    ON CONFLICT (session_id, id) DO UPDATE SET message_id = excluded.message_id
)""",
    3,
)


def _statement(*parts: StatementPart) -> str:
    texts, parameters = [], 0
    for text, width in parts:
        texts.append(text.format(*(f"${parameters + n}" for n in range(1, width + 2))))
        parameters += width
    return ",".join(texts) + "\nSELECT id, version, last_seq, outcome FROM won\n"


#: All rows that a change of a session's state has.
_CHANGED: Final = (
    SESSION,
    MESSAGE,
    AUTOMATION,
    TIMELINE,
    audit.COMMIT_PART,
    NOTIFICATION,
    webhooks.COMMIT_PART,
)

#: When people just talk, as nearly always: less to do, and what others say meanwhile is no conflict.
COMMIT_TALK: Final = _statement(TALK_SESSION, TALK_MESSAGE, TALK_OUTBOX_ENTRY)
COMMIT_ALL: Final = _statement(*_CHANGED, OUTBOX_ENTRY)
#: The same with attachments among the messages. The outbox entries stay last: the lease follows them.
COMMIT_TALK_ATTACHED: Final = _statement(TALK_SESSION, TALK_MESSAGE, ATTACHMENT, TALK_OUTBOX_ENTRY)
COMMIT_ALL_ATTACHED: Final = _statement(*_CHANGED, ATTACHMENT, OUTBOX_ENTRY)
