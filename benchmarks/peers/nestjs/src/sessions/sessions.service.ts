import { randomUUID } from 'node:crypto';

import { BadRequestException, Injectable } from '@nestjs/common';

import type { Caller } from '../auth/caller.js';
import { ChatException } from '../chat/chat.errors.js';
import type { SessionRow } from '../chat/message.js';
import { DatabaseService } from '../database/database.service.js';
import { RealtimeService } from '../realtime/realtime.service.js';
import type { ReadSessionDto } from './dto/read-session.dto.js';
import type { SessionsQueryDto } from './dto/sessions-query.dto.js';
import { type SessionListRow, toListedSession } from './session.js';

// One statement for the whole page. An ISO instant is what JavaScript's own Date would write.
const LIST_SESSIONS = {
  name: 'list-sessions',
  text: `WITH page AS (
           SELECT * FROM chat_sessions
           WHERE (client_id = $1 OR psychologist_id = $1)
             AND ($2::text IS NULL OR status = $2)
             AND ($3::timestamptz IS NULL OR (starts_at, id) < ($3, $4::uuid))
           ORDER BY starts_at DESC, id DESC LIMIT $5
         )
         SELECT s.*, a.automations, coalesce(own.up_to_seq, 0) AS own_up_to_seq,
                coalesce(other.up_to_seq, 0) AS other_up_to_seq, u.unread,
                m.id AS last_id, m.sender_id AS last_sender_id, m.message_type AS last_message_type,
                m.body AS last_body, m.created_at AS last_created_at
         FROM page s
         LEFT JOIN reads own ON own.session_id = s.id AND own.person_id = $1
         LEFT JOIN reads other ON other.session_id = s.id AND other.person_id <> $1
         LEFT JOIN messages m ON m.session_id = s.id AND m.seq = s.last_seq
         LEFT JOIN LATERAL (
           SELECT count(*) AS unread FROM messages
           WHERE session_id = s.id AND seq > coalesce(own.up_to_seq, 0) AND sender_id <> $1
         ) u ON true
         LEFT JOIN LATERAL (
           SELECT json_agg(json_build_object(
                    'kind', kind,
                    'dueAt', to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                    'status', status,
                    'executedAt', to_char(executed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                    'latenessMs', lateness_ms,
                    'reason', reason) ORDER BY due_at) AS automations
           FROM automations WHERE session_id = s.id
         ) a ON true
         ORDER BY s.starts_at DESC, s.id DESC`,
};
const FIND_SESSION = {
  name: 'find-session-to-read',
  text: 'SELECT id, client_id, psychologist_id, last_seq FROM chat_sessions WHERE id = $1',
};
// Going back changes nothing.
const MARK_READ = {
  name: 'mark-read',
  text: `INSERT INTO reads (session_id, person_id, up_to_seq, read_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (session_id, person_id)
         DO UPDATE SET up_to_seq = excluded.up_to_seq, read_at = excluded.read_at
         WHERE reads.up_to_seq < excluded.up_to_seq
         RETURNING up_to_seq`,
};
const FIND_READ = {
  name: 'find-read',
  text: 'SELECT up_to_seq, read_at FROM reads WHERE session_id = $1 AND person_id = $2',
};

@Injectable()
export class SessionsService {
  constructor(
    private readonly database: DatabaseService,
    private readonly realtime: RealtimeService,
  ) {}

  /** List the caller's own sessions, the latest start first. */
  async list(caller: Caller, query: SessionsQueryDto) {
    const [at, id] = query.cursor ? readCursor(query.cursor) : [null, null];
    const rows = await this.database.query<SessionListRow>({
      ...LIST_SESSIONS,
      values: [caller.sub, query.status ?? null, at, id, query.limit + 1],
    });
    const shown = rows.slice(0, query.limit);
    const last = shown.at(-1);
    return {
      data: shown.map(toListedSession),
      nextCursor: last && rows.length > query.limit ? writeCursor(last) : null,
    };
  }

  /** Note how far the caller has read, and tell the other participant if that is further than before. */
  async read(caller: Caller, sessionId: string, dto: ReadSessionDto) {
    const [session] = await this.database.query<SessionRow>({ ...FIND_SESSION, values: [sessionId] });
    if (!session) {
      throw new ChatException('SESSION_NOT_FOUND');
    }
    if (caller.sub !== session.client_id && caller.sub !== session.psychologist_id) {
      throw new ChatException('NOT_PARTICIPANT');
    }
    const upToSeq = Math.min(dto.upToSeq ?? Infinity, Number(session.last_seq));
    const readAt = new Date();
    const changed = await this.database.query({ ...MARK_READ, values: [sessionId, caller.sub, upToSeq, readAt] });
    if (changed.length === 0) {
      const [read] = await this.database.query<{ up_to_seq: string; read_at: Date }>({
        ...FIND_READ,
        values: [sessionId, caller.sub],
      });
      return { sessionId, upToSeq: Number(read.up_to_seq), readAt: read.read_at.toISOString() };
    }
    const event = { sessionId, userId: caller.sub, upToSeq, readAt: readAt.toISOString() };
    await this.realtime.publish(`chat:session:${sessionId}`, `${randomUUID()}:0`, 'message-read', event);
    return { sessionId, upToSeq, readAt: event.readAt };
  }
}

function writeCursor(row: SessionListRow): string {
  return Buffer.from(`${row.starts_at.toISOString()} ${row.id}`).toString('base64url');
}

function readCursor(cursor: string): [string, string] {
  const [at, id] = Buffer.from(cursor, 'base64url').toString().split(' ');
  if (!id || Number.isNaN(Date.parse(at))) {
    throw new BadRequestException(['cursor must be one that was given']);
  }
  return [at, id];
}
