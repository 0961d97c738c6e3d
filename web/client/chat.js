/**
 * One chat, as a page shows it: the session, its messages in order and complete, what is being sent, who types, who is
 * here, how far the other has read.
 *
 * It fires `change` whenever any of it is other than before. `state` says how current it is:
 * `loading`, `live` (connected, and nothing is missing), `catching-up`, `offline`, or `over`.
 *
 * Longer than the other modules: what listens, catches up and sends changes one state, and is read together.
 */
import { ApiError } from "./api.js";
import { Conversation, fromEvent } from "./conversation.js";
import { Outbox } from "./outbox.js";

/** @typedef {import("./conversation.js").Message} Message */
/** @typedef {import("./outbox.js").Pending} Pending */
/** @typedef {"loading" | "live" | "catching-up" | "offline" | "over"} ChatState */

const PAGE = 50;
const CATCH_UP_PAGE = 100;
const RETRY_MS = 2_000;
const READ_PAUSE_MS = 1_000;
const DRAFT_PAUSE_MS = 400;
const TYPING_AGAIN_MS = 3_000;
const TYPING_ENDS_MS = 5_000;
/** More than a person's devices say of their typing. */
const TYPING_WINDOW_MS = 10_000;
const TYPING_MOST = 40;
/** So many events that are none end the listening: it is not typing that they are sent for. */
const STRANGE_MOST = 20;
const TAKE_PART_WITHIN_MS = 1_000;
/** The service grants the channels of a session from an hour before its start. */
const GRANTED_BEFORE_MS = 3_600_000;
const NOT_GRANTED_MS = 10_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const DRAFT = "draft";
const OVER = ["completed", "cancelled"];

/** Thrown where a message would go to another chat than the one in front of its writer. */
export class WrongChatError extends Error {
  constructor() {
    super("The chat on the screen has just changed; nothing was sent.");
    this.name = "WrongChatError";
  }
}

export class Chat extends EventTarget {
  /** @type {any} */
  session = null;
  /** @type {ChatState} */
  state = "loading";
  draft = "";
  /** @type {Record<string, number>} the greatest `upToSeq` of each person */
  readUpTo = {};
  /** @type {Set<string>} ids of people who are typing */
  typing = new Set();
  /** @type {Set<string>} ids of people who have the chat open */
  present = new Set();

  #client;
  #conversation = new Conversation();
  /** @type {Outbox} */
  #outbox;
  /** @type {any} */
  #channel = null;
  /** @type {any} */
  #typingChannel = null;
  /** Of what comes by the channel, where that is encrypted. @type {import("./seal.js").Seal | null} */
  #seal = null;
  /** Until what has come is opened, one after the other. @type {Promise<void>} */
  #opened = Promise.resolve();
  #catchingUp = false;
  #again = false;
  #begun = false;
  #closed = false;
  #announced = false;
  /** Whether the draft is other than what is kept of it. */
  #isDraftNew = false;
  #readSent = 0;
  #readWanted = 0;
  #typedAt = -Infinity;
  #typingSince = -Infinity;
  #typingEvents = 0;
  #strange = 0;
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  #timers = new Map();

  /**
   * @param {import("./rdchat.js").Rdchat} client
   * @param {string} id the session's
   */
  constructor(client, id) {
    super();
    this.#client = client;
    this.id = id;
    this.#outbox = new Outbox({
      sessionId: id,
      storage: client.storage,
      send: (pending) => this.#post(pending),
      onSent: (message) => this.#take(message),
      onChange: () => this.#changed(),
    });
  }

  /** Without a gap, oldest first. @returns {readonly Message[]} */
  get messages() {
    return this.#conversation.messages;
  }

  /** What is not confirmed yet, to be shown behind the messages. @returns {Pending[]} */
  get pending() {
    return this.#outbox.pending;
  }

  /** Whether there are messages before those that are here. */
  get hasOlder() {
    return this.#conversation.oldest > 1;
  }

  /** Up to which `seq` nothing is missing. */
  get completeTo() {
    return this.#conversation.completeTo;
  }

  get isOver() {
    return OVER.includes(this.session?.status);
  }

  /** Whether one may write now. */
  get isOpen() {
    return this.session?.isChatEnabled === true;
  }

  /** The other of the two. */
  get other() {
    if (this.session === null) return null;
    return this.#client.me.id === this.session.clientId ? this.session.psychologist : this.session.client;
  }

  /** Milliseconds until the chat opens, by the server's clock; not below 0. */
  get opensIn() {
    return this.session === null ? 0 : Math.max(0, Date.parse(this.session.scheduledAt) - this.#client.clock.now());
  }

  /** Milliseconds until it ends, by the server's clock; not below 0. */
  get endsIn() {
    return this.session === null ? 0 : Math.max(0, Date.parse(this.session.endsAt) - this.#client.clock.now());
  }

  // ---- opening and closing ----------------------------------------------------------------------------------

  /** Load the session, its newest messages, the draft and what was not sent, and begin to listen. */
  async open() {
    const kept = await this.#client.storage.list(this.id);
    this.draft = kept.get(DRAFT) ?? "";
    this.#learn(await this.#client.api.get(`/chat/sessions/${this.id}`));
    await this.#outbox.load();
    void this.listen();
    await this.catchUp();
    return this;
  }

  /** Stop listening. What is not sent stays kept. */
  close() {
    if (this.#closed) return;
    this.keep();
    this.#closed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#outbox.close();
    this.#channel?.presence.leave().catch(() => {});
    // Only its own: the same chat may be open again by now, on the same channels.
    this.#channel?.off(this.#onAttached);
    this.#channel?.off(this.#onLost);
    this.#channel?.unsubscribe(this.#onEvent);
    this.#channel?.presence.unsubscribe(this.#onPresence);
    this.#typingChannel?.unsubscribe("typing", this.#onTyping);
    for (const channel of [this.#channel, this.#typingChannel]) channel?.detach().catch(() => {});
  }

  /** Begin to listen, as soon as the token grants it. */
  async listen() {
    if (this.#closed || this.isOver || this.#channel !== null) return;
    const live = await this.#client.realtimeFor(this.id);
    // Closed meanwhile, or listening already.
    if (this.#closed || this.#channel !== null) return;
    if (live === null) {
      const wait = Math.min(LONGEST_TIMER_MS, Math.max(NOT_GRANTED_MS, this.opensIn - GRANTED_BEFORE_MS));
      this.#later("listen", wait, () => void this.listen());
      return;
    }
    this.#channel = live.chat;
    this.#typingChannel = live.typing;
    this.#seal = live.seal ?? null;
    live.chat.on(["attached", "update"], this.#onAttached);
    live.chat.on(["suspended", "failed", "detached", "attaching"], this.#onLost);
    // Subscribing attaches; what is published from then on waits behind the gap until the history has filled it.
    await Promise.allSettled([
      live.chat.subscribe(this.#onEvent),
      live.chat.presence.subscribe(this.#onPresence),
      live.typing.subscribe("typing", this.#onTyping),
    ]);
  }

  #onAttached = () => void this.#attached();
  #onLost = () => this.#lost();
  #onEvent = (/** @type {any} */ message) => {
    if (this.#seal === null) this.#received(message);
    else this.#opened = this.#opened.then(() => this.#unseal(message));
  };
  #onPresence = () => void this.#countPresent();
  #onTyping = (/** @type {any} */ message) => this.#someoneTypes(message);

  async #attached() {
    if (this.#closed) return;
    // A channel that has lost its place keeps no presence either.
    this.#enter();
    await this.catchUp();
  }

  #enter() {
    if (this.isOpen && this.#client.mayTakePart(this.id)) this.#channel?.presence.enter({}).catch(() => {});
  }

  /** Ask for a token that allows to type and to be present, once the chat is open. */
  #takePart() {
    if (!this.isOpen || this.#channel === null || this.#client.mayTakePart(this.id) || this.#timers.has("take part")) return;
    // Not at once: many chats open at the same full hour, and the first words need no such token.
    this.#later("take part", Math.random() * TAKE_PART_WITHIN_MS, async () => {
      await this.#client.renew();
      this.#enter();
    });
  }

  #lost() {
    if (this.#closed || this.state === "over") return;
    this.#become("offline");
  }

  /** Note that the connection is lost: nothing here is current until the next catching up. */
  lost() {
    this.#lost();
  }

  // ---- staying complete -------------------------------------------------------------------------------------

  /**
   * Fetch what is missing behind the last message that is here, and the session as it is now.
   *
   * After a sleep, a reconnection or a jump of `seq`. Several calls at once are one.
   */
  async catchUp() {
    if (this.#closed) return;
    this.#again = true;
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    this.#stopTimer("retry");
    try {
      while (this.#again && !this.#closed) {
        this.#again = false;
        if (this.state !== "loading") this.#become("catching-up");
        this.#learn(await this.#client.api.get(`/chat/sessions/${this.id}`));
        await this.#fetchMissing();
      }
      this.#settle();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#become("offline");
      if (error.isTemporary) this.#later("retry", (error.retryAfter ?? 0) * 1000 || RETRY_MS, () => void this.catchUp());
    } finally {
      this.#catchingUp = false;
    }
    this.#outbox.wake();
  }

  /** Take in the session as it is now, and how far both have read. @param {any} session */
  #learn(session) {
    this.session = session;
    const { readUpToSeq = 0, otherReadUpToSeq = 0 } = session;
    this.#readSent = Math.max(this.#readSent, readUpToSeq);
    const other = this.other?.id ?? "";
    this.readUpTo[other] = Math.max(this.readUpTo[other] ?? 0, otherReadUpToSeq);
  }

  async #fetchMissing() {
    const query = { sessionId: this.id, limit: CATCH_UP_PAGE };
    if (!this.#begun) {
      const newest = await this.#client.api.get("/chat/history", { query: { ...query, limit: PAGE } });
      this.#conversation.begin(newest.data);
      this.#begun = true;
      for (const message of newest.data) this.#confirm(message);
    }
    for (let more = this.session.lastSeq > this.completeTo || this.#conversation.hasGap; more; ) {
      const page = await this.#client.api.get("/chat/history", { query: { ...query, after: this.completeTo } });
      for (const message of page.data) this.#take(message);
      more = page.metadata.hasNextPage && page.data.length > 0;
    }
  }

  #settle() {
    if (this.isOver) this.#become("over");
    else this.#become(this.#client.isConnected && this.#channel?.state === "attached" ? "live" : "offline");
    this.#takePart();
    if (this.isOver) for (const one of [this.typing, this.present]) one.clear();
  }

  /** Load older messages. @returns {Promise<number>} how many there were */
  async loadOlder() {
    if (!this.hasOlder) return 0;
    const query = { sessionId: this.id, limit: PAGE, before: this.#conversation.oldest };
    const page = await this.#client.api.get("/chat/history", { query });
    this.#conversation.prepend(page.data);
    this.#changed();
    return page.data.length;
  }

  /** Take in an event that the service has proven; what it has not is not believed, but asked for. @param {any} message */
  async #unseal(message) {
    const data = (await this.#seal?.open(message)) ?? null;
    if (this.#closed) return;
    if (data === null || data.sessionId !== this.id) void this.catchUp();
    else this.#received({ name: message.name, data });
  }

  /** @param {any} event */
  #received(event) {
    switch (event.name) {
      case "message":
        this.#take(fromEvent(event.data));
        if (this.#conversation.hasGap) void this.catchUp();
        break;
      case "session-status":
        // The event says what has happened; how the session is now, the service says.
        void this.catchUp();
        break;
      case "message-read":
        this.#someoneRead(event.data);
        break;
    }
  }

  /** @param {Message} message */
  #take(message) {
    this.#confirm(message);
    this.#conversation.add(message);
    if (this.typing.delete(message.senderId)) this.#stopTimer(`typing ${message.senderId}`);
    this.#changed();
  }

  /** @param {Message} message */
  #confirm(message) {
    if (message.senderId === this.#client.me.id) this.#outbox.confirm(message.clientMessageId);
  }

  // ---- writing ----------------------------------------------------------------------------------------------

  /**
   * Keep what is being written. It comes back after a crash, in this chat and in no other.
   *
   * @param {string} text
   */
  write(text) {
    this.draft = text;
    this.#isDraftNew = true;
    if (!this.#timers.has(DRAFT)) {
      this.keep();
      this.#later(DRAFT, DRAFT_PAUSE_MS, () => this.keep());
    }
    this.#sayTyping(text !== "");
  }

  /** Keep at once what was written since it was last kept. */
  keep() {
    if (!this.#isDraftNew) return;
    this.#isDraftNew = false;
    void this.#keepDraft();
  }

  async #keepDraft() {
    if (this.draft === "") await this.#client.storage.delete(this.id, DRAFT);
    else await this.#client.storage.put(this.id, DRAFT, this.draft);
  }

  /**
   * Send a text, or a file with one. It is in `pending` at once, and in `messages` when the service has it.
   *
   * Throw WrongChatError where the chat in front of the writer is another, or was a moment ago.
   *
   * @param {string} text
   * @param {Blob | null} [file]
   * @param {string} [fileName]
   */
  async send(text, file = null, fileName = "") {
    if (!this.#client.isVisible(this)) throw new WrongChatError();
    // At once: what is typed while it is being kept belongs to the next message.
    if (this.draft === text) {
      this.draft = "";
      this.#isDraftNew = true;
    }
    this.#sayTyping(false);
    const pending = await this.#outbox.add(text, file, fileName);
    // Now that it is kept as sent: after a crash it would else be in both places.
    this.keep();
    return pending;
  }

  /** @param {string} id of what was refused */
  retry(id) {
    this.#outbox.retry(id);
  }

  /** Give up what was not sent; its text goes back to the draft, before what is there. @param {string} id */
  discard(id) {
    const pending = this.#outbox.discard(id);
    if (pending !== undefined) this.write([pending.text, this.draft].filter(Boolean).join("\n"));
  }

  /** @param {Pending} pending */
  #post(pending) {
    const { api } = this.#client;
    if (pending.file === null) {
      const body = { sessionId: this.id, message: pending.text, messageType: "text", clientMessageId: pending.id };
      return api.post("/chat/messages", { body });
    }
    const form = new FormData();
    form.append("sessionId", this.id);
    form.append("message", pending.text);
    form.append("clientMessageId", pending.id);
    // Last: a refusal then does not wait for it.
    form.append("file", pending.file, pending.fileName || "file");
    const onProgress = (/** @type {number} */ share) => {
      pending.progress = share;
      this.#changed();
    };
    return api.post("/chat/messages/upload", { form, onProgress });
  }

  // ---- the other --------------------------------------------------------------------------------------------

  /** Say that everything up to a `seq` was on the screen. The service is told at most once a second. @param {number} seq */
  markRead(seq) {
    this.#readWanted = Math.max(this.#readWanted, seq);
    if (this.#readWanted > this.#readSent && !this.#timers.has("read")) this.#later("read", READ_PAUSE_MS, () => void this.#sayRead());
  }

  async #sayRead() {
    const upToSeq = this.#readWanted;
    try {
      await this.#client.api.put(`/chat/sessions/${this.id}/read`, { body: { upToSeq } });
      this.#readSent = upToSeq;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.isTemporary) this.#later("read", (error.retryAfter ?? 0) * 1000 || RETRY_MS, () => void this.#sayRead());
    }
  }

  /** @param {{userId: string, upToSeq: number}} data */
  #someoneRead({ userId, upToSeq }) {
    this.readUpTo[userId] = Math.max(this.readUpTo[userId] ?? 0, upToSeq);
    this.#changed();
  }

  /** @param {boolean} isTyping */
  #sayTyping(isTyping) {
    const now = Date.now();
    if (isTyping ? now - this.#typedAt < TYPING_AGAIN_MS : !this.#announced) return;
    this.#typedAt = isTyping ? now : -Infinity;
    this.#announced = isTyping;
    if (!this.isOpen) return;
    const data = { userId: this.#client.me.id, isTyping, timestamp: new Date(this.#client.clock.now()).toISOString() };
    if (this.#typingChannel?.state === "attached") this.#typingChannel.publish("typing", data).catch(() => {});
  }

  /** @param {any} message */
  #someoneTypes(message) {
    // Participants publish here past the service: what is not of this form, or comes too often, is nothing.
    if (!isTypingEvent(message)) return this.#mistrust();
    const person = message.clientId;
    if (person === this.#client.me.id || !this.session || ![this.session.clientId, this.session.psychologistId].includes(person)) return;
    if (!this.#countTyping()) return this.#mistrust();
    if (message.data.isTyping) {
      this.typing.add(person);
      this.#later(`typing ${person}`, TYPING_ENDS_MS, () => {
        this.typing.delete(person);
        this.#changed();
      });
    } else {
      this.typing.delete(person);
      this.#stopTimer(`typing ${person}`);
    }
    this.#changed();
  }

  /** Whether the other types no more often than a person can. */
  #countTyping() {
    const now = Date.now();
    if (now - this.#typingSince > TYPING_WINDOW_MS) [this.#typingSince, this.#typingEvents] = [now, 0];
    return ++this.#typingEvents <= TYPING_MOST;
  }

  /** Stop listening to who types where something else is sent there, again and again. */
  #mistrust() {
    if (++this.#strange < STRANGE_MOST) return;
    this.#typingChannel?.unsubscribe("typing", this.#onTyping);
    this.#typingChannel?.detach().catch(() => {});
    this.typing.clear();
    this.#changed();
  }

  async #countPresent() {
    try {
      const members = await this.#channel.presence.get();
      this.present = new Set(members.map((/** @type {any} */ member) => member.clientId));
      this.#changed();
    } catch {
      // Not attached any more.
    }
  }

  // ---- the session ------------------------------------------------------------------------------------------

  /** End the open chat. */
  async end() {
    this.#learn(await this.#client.api.put(`/chat/sessions/${this.id}/end`));
    await this.catchUp();
  }

  /** Extend the open chat, as its psychologist. @param {number} minutes */
  async extend(minutes) {
    const endsAt = new Date(Date.parse(this.session.endsAt) + minutes * 60_000).toISOString();
    // By instant: sent twice, it extends once.
    this.#learn(await this.#client.api.put(`/chat/sessions/${this.id}/extend`, { body: { endsAt } }));
    this.#changed();
  }

  // ---- small things -----------------------------------------------------------------------------------------

  /** @param {ChatState} state */
  #become(state) {
    this.state = state;
    this.#changed();
  }

  #changed() {
    if (!this.#closed) this.dispatchEvent(new Event("change"));
  }

  /** @param {string} name @param {number} ms @param {() => void} work */
  #later(name, ms, work) {
    this.#stopTimer(name);
    if (this.#closed) return;
    const timer = setTimeout(() => {
      this.#timers.delete(name);
      work();
    }, ms);
    this.#timers.set(name, timer);
  }

  /** @param {string} name */
  #stopTimer(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

/**
 * Whether a message on the channel of who is typing has the form that it has by contract, and says of no one but its sender.
 *
 * @param {any} message
 */
function isTypingEvent({ name, clientId, data }) {
  return (
    name === "typing" &&
    typeof clientId === "string" &&
    typeof data === "object" &&
    data !== null &&
    Object.keys(data).length === 3 &&
    data.userId === clientId &&
    typeof data.isTyping === "boolean" &&
    typeof data.timestamp === "string" &&
    data.timestamp.length <= 40
  );
}
