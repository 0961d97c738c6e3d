/**
 * The messages of one chat, ordered by `seq`, and up to where they are complete.
 *
 * `seq` is dense from 1. Everything from `oldest` to `completeTo` is here; what has come from beyond a gap waits until
 * the gap is filled, so that no sentence is ever shown in the wrong place or missed in silence.
 */

/**
 * @typedef {object} Message as `POST /chat/messages` answers it
 * @property {string} id
 * @property {string} sessionId
 * @property {number} seq
 * @property {string} senderId
 * @property {{id: string, fullName: string, role?: string}} sender
 * @property {string} message
 * @property {string} messageType
 * @property {boolean} isAutomated
 * @property {boolean} [isRead]
 * @property {string | null} [readAt]
 * @property {any} [attachment]
 * @property {string} [clientMessageId]
 * @property {string} createdAt
 */

export class Conversation {
  /** @type {Message[]} */
  #shown = [];
  /** @type {Map<number, Message>} */
  #ahead = new Map();

  /** The messages that are here without a gap, oldest first. @returns {readonly Message[]} */
  get messages() {
    return this.#shown;
  }

  /** The `seq` of the oldest one that is here; 1 when there is nothing before it. */
  get oldest() {
    return this.#shown.length > 0 ? this.#shown[0].seq : 1;
  }

  /** Up to which `seq` nothing is missing. */
  get completeTo() {
    return this.#shown.length > 0 ? this.#shown[this.#shown.length - 1].seq : 0;
  }

  /** Whether something has come from beyond a gap. */
  get hasGap() {
    return this.#ahead.size > 0;
  }

  /** Begin with the newest page of the history. @param {Message[]} page oldest first */
  begin(page) {
    const kept = [...this.#shown, ...this.#ahead.values()];
    this.#shown = [...page];
    this.#ahead.clear();
    for (const message of kept) this.add(message);
  }

  /** Put an older page before what is here. @param {Message[]} page oldest first */
  prepend(page) {
    this.#shown = [...page.filter((message) => message.seq < this.oldest), ...this.#shown];
  }

  /**
   * Take in a message from an event, from an answer or from the history.
   *
   * @param {Message} message
   * @returns {boolean} whether it is new
   */
  add(message) {
    if (message.seq <= this.completeTo || this.#ahead.has(message.seq)) return false;
    this.#ahead.set(message.seq, message);
    for (let next = this.#ahead.get(this.completeTo + 1); next !== undefined; next = this.#ahead.get(this.completeTo + 1)) {
      this.#ahead.delete(next.seq);
      this.#shown.push(next);
    }
    return true;
  }
}

/**
 * Give an event's message the form of the API.
 *
 * @param {any} data
 * @returns {Message}
 */
export function fromEvent(data) {
  const { content, senderName, ...same } = data;
  return { ...same, message: content, sender: { id: data.senderId, fullName: senderName }, isRead: false, readAt: null };
}
