import { Injectable } from '@nestjs/common';

import type { Caller } from '../auth/caller.js';
import { DatabaseService } from '../database/database.service.js';
import { ChatException } from './chat.errors.js';
import type { HistoryQueryDto } from './dto/history-query.dto.js';
import { type Message, type MessageRow, type ReadHorizon, type SessionRow, toMessage } from './message.js';

// The session, and how far each of the two has read.
const FIND_SESSION = {
  name: 'find-session',
  text: `SELECT s.id, s.status, s.client_id, s.client_name, s.psychologist_id, s.psychologist_name, s.last_seq,
                c.up_to_seq AS client_up_to_seq, c.read_at AS client_read_at,
                p.up_to_seq AS psychologist_up_to_seq, p.read_at AS psychologist_read_at
         FROM chat_sessions s
         LEFT JOIN reads c ON c.session_id = s.id AND c.person_id = s.client_id
         LEFT JOIN reads p ON p.session_id = s.id AND p.person_id = s.psychologist_id
         WHERE s.id = $1`,
};
const FIND_MESSAGES = {
  name: 'find-messages',
  text: `SELECT id, session_id, seq, sender_id, message_type, body, client_message_id, created_at
         FROM messages WHERE session_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq`,
};
const COUNT_UNREAD = {
  name: 'count-unread',
  text: `SELECT s.id, count(*) AS unread
         FROM chat_sessions s
         LEFT JOIN reads r ON r.session_id = s.id AND r.person_id = $1
         JOIN messages m ON m.session_id = s.id AND m.seq > coalesce(r.up_to_seq, 0) AND m.sender_id <> $1
         WHERE (s.client_id = $1 OR s.psychologist_id = $1) AND s.starts_at >= now() - interval '30 days'
         GROUP BY s.id ORDER BY max(m.created_at) DESC`,
};

interface ReadSessionRow extends SessionRow {
  client_up_to_seq: string | null;
  client_read_at: Date | null;
  psychologist_up_to_seq: string | null;
  psychologist_read_at: Date | null;
}

interface UnreadRow {
  id: string;
  unread: string;
}

@Injectable()
export class HistoryService {
  constructor(private readonly database: DatabaseService) {}

  /** Read a page of the messages, oldest first; page 1 is the newest. */
  async page(caller: Caller, query: HistoryQueryDto) {
    const [session] = await this.database.query<ReadSessionRow>({ ...FIND_SESSION, values: [query.sessionId] });
    if (!session) {
      throw new ChatException('SESSION_NOT_FOUND');
    }
    if (caller.sub !== session.client_id && caller.sub !== session.psychologist_id) {
      throw new ChatException('NOT_PARTICIPANT');
    }
    const { page, limit } = query;
    const total = Number(session.last_seq);
    const last = Math.max(total - (page - 1) * limit, 0); // seq has no gaps: a page is a range
    const first = Math.max(last - limit, 0);
    const rows = await this.database.query<MessageRow>({ ...FIND_MESSAGES, values: [session.id, first, last] });
    const horizons = {
      client: horizon(session.client_up_to_seq, session.client_read_at),
      psychologist: horizon(session.psychologist_up_to_seq, session.psychologist_read_at),
    };
    const data: Message[] = rows.map((row) =>
      toMessage(row, session, row.sender_id === session.client_id ? horizons.psychologist : horizons.client),
    );
    return {
      data,
      metadata: {
        page,
        limit,
        total,
        totalPages: Math.ceil(total / limit),
        hasNextPage: first > 0,
        hasPrevPage: last < total,
        nextCursor: first > 0 ? first + 1 : null,
      },
      nextCursor: first > 0 ? Buffer.from(`${session.id}:${first + 1}`).toString('base64url') : null,
    };
  }

  /** Count what the caller has not read, by session of the last thirty days. */
  async unread(caller: Caller) {
    const rows = await this.database.query<UnreadRow>({ ...COUNT_UNREAD, values: [caller.sub] });
    const sessions = rows.map((row) => ({ sessionId: row.id, unread: Number(row.unread) }));
    return { total: sessions.reduce((sum, one) => sum + one.unread, 0), sessions };
  }
}

function horizon(upToSeq: string | null, readAt: Date | null): ReadHorizon | undefined {
  return upToSeq !== null && readAt !== null ? { up_to_seq: upToSeq, read_at: readAt } : undefined;
}
