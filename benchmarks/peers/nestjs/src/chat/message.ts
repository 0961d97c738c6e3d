/** The columns of a session that a message needs; bigint comes as text. */
export interface SessionRow {
  id: string;
  status: 'pending' | 'active' | 'ending_soon' | 'completed' | 'cancelled';
  client_id: string;
  client_name: string;
  psychologist_id: string;
  psychologist_name: string;
  last_seq: string;
}

export type Participants = Pick<
  SessionRow,
  'client_id' | 'client_name' | 'psychologist_id' | 'psychologist_name'
>;

export interface MessageRow {
  id: string;
  session_id: string;
  seq: string;
  sender_id: string;
  message_type: string;
  body: string;
  client_message_id: string | null;
  created_at: Date;
}

export interface Message {
  id: string;
  sessionId: string;
  seq: number;
  senderId: string;
  sender: { id: string; fullName: string; role: 'client' | 'psychologist' };
  message: string;
  messageType: string;
  isAutomated: false;
  isRead: boolean;
  readAt: string | null;
  clientMessageId?: string;
  createdAt: string;
}

/** How far the other participant has read. */
export interface ReadHorizon {
  up_to_seq: string;
  read_at: Date;
}

/** Show a stored message. Only the two participants send, so an id tells the role. */
export function toMessage(row: MessageRow, participants: Participants, read?: ReadHorizon): Message {
  const byPsychologist = row.sender_id === participants.psychologist_id;
  const isRead = read !== undefined && Number(row.seq) <= Number(read.up_to_seq);
  return {
    id: row.id,
    sessionId: row.session_id,
    seq: Number(row.seq),
    senderId: row.sender_id,
    sender: {
      id: row.sender_id,
      fullName: byPsychologist ? participants.psychologist_name : participants.client_name,
      role: byPsychologist ? 'psychologist' : 'client',
    },
    message: row.body,
    messageType: row.message_type,
    isAutomated: false,
    isRead,
    readAt: isRead ? read.read_at.toISOString() : null,
    clientMessageId: row.client_message_id ?? undefined,
    createdAt: row.created_at.toISOString(),
  };
}

/** The event that tells the participants of a message. */
export function toEvent(message: Message) {
  return {
    id: message.id,
    sessionId: message.sessionId,
    seq: message.seq,
    senderId: message.senderId,
    senderName: message.sender.fullName,
    content: message.message,
    messageType: message.messageType,
    isAutomated: message.isAutomated,
    clientMessageId: message.clientMessageId,
    createdAt: message.createdAt,
  };
}
