/** What a chat asks of its psychologist: what is unread, who waits and since when, and what was said last. */

/** @typedef {import("../../client/chat.js").Chat} Chat */
/** @typedef {import("../../client/conversation.js").Message} Message */

/**
 * How many messages of the client have not been on the screen, of those that are loaded.
 *
 * @param {Chat} chat
 */
export function unreadCount(chat) {
  const { clientId, psychologistId, readUpToSeq = 0 } = chat.session;
  const read = Math.max(readUpToSeq, chat.readUpTo[psychologistId] ?? 0);
  return chat.messages.filter((one) => one.seq > read && one.senderId === clientId && !one.isRead).length;
}

/**
 * When the client wrote the first message that has no answer yet. Automated messages are no answer.
 *
 * @param {Chat} chat
 * @returns {number | null} milliseconds since 1970; null where nothing waits
 */
export function waitingSince(chat) {
  if (!chat.isOpen) return null;
  let since = null;
  for (let at = chat.messages.length - 1; at >= 0; at -= 1) {
    const one = chat.messages[at];
    if (one.senderId === chat.session.clientId) since = Date.parse(one.createdAt);
    else if (!one.isAutomated) break;
  }
  return since;
}

/** @param {Chat} chat @returns {Message | undefined} */
export const lastMessage = (chat) => chat.messages[chat.messages.length - 1];
