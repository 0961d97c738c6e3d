import { randomUUID } from 'node:crypto';

import { Injectable } from '@nestjs/common';
import { DatabaseError, type PoolClient } from 'pg';

import type { Caller } from '../auth/caller.js';
import { DatabaseService } from '../database/database.service.js';
import { RealtimeService } from '../realtime/realtime.service.js';
import { ChatException } from './chat.errors.js';
import type { SendMessageDto } from './dto/send-message.dto.js';
import { type Message, type MessageRow, type Participants, type SessionRow, toEvent, toMessage } from './message.js';

const UNIQUE_VIOLATION = '23505';

const LOCK_SESSION = {
  name: 'lock-session',
  text: `SELECT id, status, client_id, client_name, psychologist_id, psychologist_name, last_seq
         FROM chat_sessions WHERE id = $1 FOR UPDATE`,
};
const COUNT_MESSAGE = {
  name: 'count-message',
  text: 'UPDATE chat_sessions SET last_seq = last_seq + 1, updated_at = $2 WHERE id = $1',
};
const INSERT_MESSAGE = {
  name: 'insert-message',
  text: `INSERT INTO messages
           (id, session_id, seq, sender_id, message_type, body, client_message_id, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
};
const FIND_REPEATED = {
  name: 'find-repeated',
  text: `SELECT m.id, m.session_id, m.seq, m.sender_id, m.message_type, m.body, m.client_message_id, m.created_at,
                s.client_id, s.client_name, s.psychologist_id, s.psychologist_name
         FROM messages m JOIN chat_sessions s ON s.id = m.session_id
         WHERE m.session_id = $1 AND m.sender_id = $2 AND m.client_message_id = $3`,
};

@Injectable()
export class ChatService {
  constructor(
    private readonly database: DatabaseService,
    private readonly realtime: RealtimeService,
  ) {}

  /** Store a message and tell the participants; a repeated clientMessageId gives the first message again. */
  async send(caller: Caller, dto: SendMessageDto): Promise<{ message: Message; repeated: boolean }> {
    let message: Message;
    try {
      message = await this.database.transaction((client) => this.store(client, caller, dto));
    } catch (error) {
      if (isRepetition(error)) {
        return { message: await this.first(caller, dto), repeated: true };
      }
      throw error;
    }
    await this.realtime.publish(
      `chat:session:${message.sessionId}`,
      `${message.id}:0`,
      'message',
      toEvent(message),
    );
    return { message, repeated: false };
  }

  private async store(client: PoolClient, caller: Caller, dto: SendMessageDto): Promise<Message> {
    const { rows } = await client.query<SessionRow>({ ...LOCK_SESSION, values: [dto.sessionId] });
    const session = rows.at(0);
    if (!session) {
      throw new ChatException('SESSION_NOT_FOUND');
    }
    admit(caller, session);
    const row: MessageRow = {
      id: randomUUID(),
      session_id: session.id,
      seq: String(Number(session.last_seq) + 1),
      sender_id: caller.sub,
      message_type: dto.messageType ?? 'text',
      body: dto.message,
      client_message_id: dto.clientMessageId ?? null,
      created_at: new Date(), // under the lock, so that time follows seq
    };
    await client.query({ ...COUNT_MESSAGE, values: [row.session_id, row.created_at] });
    await client.query({
      ...INSERT_MESSAGE,
      values: [
        row.id,
        row.session_id,
        row.seq,
        row.sender_id,
        row.message_type,
        row.body,
        row.client_message_id,
        row.created_at,
      ],
    });
    return toMessage(row, session);
  }

  private async first(caller: Caller, dto: SendMessageDto): Promise<Message> {
    const [row] = await this.database.query<MessageRow & Participants>({
      ...FIND_REPEATED,
      values: [dto.sessionId, caller.sub, dto.clientMessageId],
    });
    return toMessage(row, row);
  }
}

function admit(caller: Caller, session: SessionRow): void {
  if (caller.sub !== session.client_id && caller.sub !== session.psychologist_id) {
    throw new ChatException('NOT_PARTICIPANT');
  }
  switch (session.status) {
    case 'pending':
      throw new ChatException('CHAT_NOT_ENABLED');
    case 'completed':
    case 'cancelled':
      throw new ChatException('SESSION_ENDED');
  }
}

function isRepetition(error: unknown): boolean {
  return (
    error instanceof DatabaseError &&
    error.code === UNIQUE_VIOLATION &&
    error.constraint === 'messages_once_per_client_id'
  );
}
