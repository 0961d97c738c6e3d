/** A session of a list; bigint comes as text, and what `json_build_object` makes has its instants as text. */
export interface SessionListRow {
  id: string;
  counseling_id: string;
  client_id: string;
  client_name: string;
  psychologist_id: string;
  psychologist_name: string;
  status: string;
  last_seq: string;
  starts_at: Date;
  ends_at: Date;
  started_at: Date | null;
  ended_at: Date | null;
  end_reason: string | null;
  outcome: string | null;
  created_at: Date;
  updated_at: Date;
  automations: Automation[];
  own_up_to_seq: string;
  other_up_to_seq: string;
  unread: string;
  last_id: string | null;
  last_sender_id: string;
  last_message_type: string;
  last_body: string;
  last_created_at: Date;
}

interface Automation {
  kind: string;
  dueAt: string;
  status: string;
  executedAt: string | null;
  latenessMs: number | null;
  reason: string | null;
}

const LONGEST_PREVIEW = 120;

/** Show a session in a list of one's own. */
export function toListedSession(row: SessionListRow) {
  const isOpen = row.status === 'active' || row.status === 'ending_soon';
  return {
    id: row.id,
    counselingId: row.counseling_id,
    clientId: row.client_id,
    psychologistId: row.psychologist_id,
    client: { id: row.client_id, fullName: row.client_name },
    psychologist: { id: row.psychologist_id, fullName: row.psychologist_name },
    status: row.status,
    isActive: isOpen,
    isChatEnabled: isOpen,
    scheduledAt: row.starts_at.toISOString(),
    endsAt: row.ends_at.toISOString(),
    startedAt: row.started_at?.toISOString() ?? null,
    endedAt: row.ended_at?.toISOString() ?? null,
    endReason: row.end_reason,
    outcome: row.outcome,
    lastSeq: Number(row.last_seq),
    automations: row.automations,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
    readUpToSeq: Number(row.own_up_to_seq),
    otherReadUpToSeq: Number(row.other_up_to_seq),
    unreadCount: Number(row.unread),
    lastMessage: row.last_id
      ? {
          id: row.last_id,
          seq: Number(row.last_seq),
          senderId: row.last_sender_id,
          messageType: row.last_message_type,
          preview: preview(row.last_body),
          createdAt: row.last_created_at.toISOString(),
        }
      : null,
  };
}

function preview(text: string): string {
  return text.length <= LONGEST_PREVIEW ? text : `${text.slice(0, LONGEST_PREVIEW - 1)}…`;
}
