/**
 * The reference client of rdchat: what every frontend must get right, in one module without dependencies.
 *
 *     import * as Ably from "ably";
 *     import { Rdchat } from "./rdchat.js";
 *
 *     const rdchat = await Rdchat.connect({ baseUrl: "https://chat.example", getToken, Realtime: Ably.Realtime });
 *     const chat = await rdchat.openChat(sessionId);
 *     chat.addEventListener("change", () => show(chat.messages, chat.pending, chat.state));
 *     await chat.send("Halo");
 *
 * One connection serves all chats of a person. See docs/browser.md.
 */
import { Api, ApiError } from "./api.js";
import { Chat, WrongChatError } from "./chat.js";
import { ServerClock } from "./clock.js";
import { Seal } from "./seal.js";
import { Storage } from "./storage.js";

export { Api, ApiError, Chat, ServerClock, Storage, WrongChatError };

/** A message is not sent within this time of a change of the visible chat: the writer may not have seen it yet. */
const JUST_CHANGED_MS = 300;
/** So many notifications are asked for where one came without its words. */
const NEWEST = 20;
/** A link is not given out when it is about to run out. */
const LINK_MARGIN_MS = 30_000;

/**
 * @typedef {object} Me the caller, as their token says
 * @property {string} id
 * @property {string} role
 * @property {string} fullName
 *
 * @typedef {object} Options
 * @property {string} baseUrl where the service is
 * @property {(renew: boolean) => Promise<string>} getToken the caller's token; `renew`: the last one was refused
 * @property {any} [Realtime] the class of Ably's SDK; needed to connect
 * @property {Record<string, unknown>} [ably] further options of the SDK
 * @property {typeof fetch} [fetch]
 * @property {Storage} [storage]
 */

export class Rdchat extends EventTarget {
  /** @type {Map<string, Chat>} */
  #chats = new Map();
  /** By session: its opening, and how many have asked for it and not closed it. @type {Map<string, {chat: Promise<Chat>, uses: number}>} */
  #opened = new Map();
  /** @type {Record<string, string[]>} */
  #capability = {};
  /** The channels of the sessions that the token serves for. @type {Map<string, {channelName: string, typingChannelName: string, cipherKey?: string, proofKey?: string}>} */
  #channels = new Map();
  /** @type {any} */
  #realtime = null;
  /** @type {Chat | null} */
  #visible = null;
  #visibleSince = -Infinity;
  #isClosed = false;
  /** @type {Promise<void> | null} */
  #renewing = null;

  /**
   * @param {Me} me
   * @param {Storage} storage
   * @param {Api} api
   */
  constructor(me, storage, api) {
    super();
    this.me = me;
    this.storage = storage;
    this.api = api;
    this.clock = api.clock;
    globalThis.addEventListener?.("pagehide", this.keep);
    globalThis.document?.addEventListener("visibilitychange", this.#keepHidden);
  }

  /**
   * Sign in and connect.
   *
   * Throw an ApiError if the service refuses, or cannot be reached.
   *
   * @param {Options} options
   * @returns {Promise<Rdchat>}
   */
  static async connect(options) {
    const rdchat = await Rdchat.signIn(options);
    await rdchat.connect(options.Realtime, options.ably);
    return rdchat;
  }

  /**
   * Sign in without connecting: for a page that shows something before Ably's SDK is there, and for people without chats.
   *
   * @param {Options} options
   * @returns {Promise<Rdchat>}
   */
  static async signIn(options) {
    const me = readToken(await options.getToken(false));
    const getToken = async (/** @type {boolean} */ renew) => {
      const token = await options.getToken(renew);
      // Someone else has signed in meanwhile: what is still under way here is not theirs.
      if (readToken(token).id !== me.id) throw new ApiError({ status: 401, code: "UNAUTHENTICATED", message: "Sign in again." });
      return token;
    };
    const api = new Api({ ...options, getToken, clock: new ServerClock() });
    return new Rdchat(me, options.storage ?? (await Storage.open(me.id)), api);
  }

  /** Whether Ably is connected at this moment. */
  get isConnected() {
    return this.#realtime?.connection.state === "connected";
  }

  /**
   * Connect to Ably. Chats that are open already begin to listen.
   *
   * Throw an ApiError if the service gives no token; it can then be called again.
   *
   * @param {any} Realtime the class of Ably's SDK
   * @param {Record<string, unknown>} [ably] further options of the SDK
   */
  async connect(Realtime, ably = {}) {
    const granted = await this.#fetchToken();
    if (this.#isClosed || this.#realtime !== null) return;
    const { endpoint, port, tls } = granted.clientOptions;
    /** @type {any} */
    let first = granted;
    const realtime = new Realtime({
      endpoint,
      ...(tls ? { tlsPort: port } : { port }),
      tls,
      clientId: granted.clientId,
      // A fresh one each time but the first: a token that was revoked must never be shown again.
      authCallback: (/** @type {any} */ _params, /** @type {(error: any, token: any) => void} */ done) => {
        const next = first === null ? this.#fetchToken() : Promise.resolve(first);
        first = null;
        next.then(
          (one) => done(null, one.token),
          (error) => done(asAblyError(error), null),
        );
      },
      ...ably,
    });
    this.#realtime = realtime;
    realtime.connection.on((/** @type {any} */ change) => this.#connectionChanged(change.current));
    const notifications = realtime.channels.get(granted.notificationChannelName);
    await Promise.race([
      notifications.subscribe("notification", (/** @type {any} */ message) => this.#notified(message.data)),
      // Without Ably the API serves all the same: chats are then as current as their last catching up.
      new Promise((resolve) => realtime.connection.once(["disconnected", "suspended", "failed"], resolve)),
    ]).catch(() => {});
    if (this.#isClosed) return;
    globalThis.addEventListener?.("online", this.#resume);
    globalThis.document?.addEventListener("visibilitychange", this.#resume);
    for (const chat of this.#chats.values()) void chat.listen();
  }

  async #fetchToken() {
    const granted = await this.api.get("/chat/ably-token");
    this.#capability = granted.capability;
    this.#channels = new Map((granted.sessions ?? []).map((/** @type {any} */ one) => [one.sessionId, one]));
    return granted;
  }

  /** @param {string} state */
  #connectionChanged(state) {
    for (const chat of this.#chats.values()) {
      if (state === "connected") void chat.catchUp();
      else chat.lost();
    }
    this.dispatchEvent(new Event("connection"));
  }

  #resume = () => {
    if (globalThis.document?.visibilityState === "hidden") return;
    // After a sleep the connection may look alive for a while. The API says what was missed.
    if (!this.isConnected) this.#realtime?.connect();
    for (const chat of this.#chats.values()) void chat.catchUp();
  };

  /** @param {any} notification */
  #notified(notification) {
    const tell = (/** @type {any} */ detail) => this.dispatchEvent(new CustomEvent("notification", { detail }));
    // Where Ably is not to read, it carries the title alone.
    if (notification.message === notification.title) void this.#wordsOf(notification).then(tell);
    else tell(notification);
    const chat = this.#chats.get(notification.data?.sessionId ?? "");
    if (chat !== undefined) void chat.catchUp();
  }

  /** The notification as the service keeps it; as it came, where that cannot be asked. @param {any} notification */
  async #wordsOf(notification) {
    try {
      const newest = await this.api.get("/notifications", { query: { limit: NEWEST } });
      return newest.data.find((/** @type {any} */ one) => one.id === notification.id) ?? notification;
    } catch {
      return notification;
    }
  }

  /**
   * Open a chat. One that is open, or being opened, is the same for all who ask: each of them closes it. Throw an ApiError.
   *
   * @param {string} sessionId
   * @returns {Promise<Chat>}
   */
  openChat(sessionId) {
    let opened = this.#opened.get(sessionId);
    if (opened === undefined) this.#opened.set(sessionId, (opened = { chat: this.#open(sessionId), uses: 0 }));
    opened.uses += 1;
    return opened.chat;
  }

  /** @param {string} sessionId @returns {Promise<Chat>} */
  async #open(sessionId) {
    const chat = new Chat(this, sessionId);
    this.#chats.set(sessionId, chat);
    try {
      return await chat.open();
    } catch (error) {
      this.#opened.delete(sessionId);
      this.#chats.delete(sessionId);
      chat.close();
      throw error;
    }
  }

  /** Close a chat, unless another part of the page has it open too. @param {Chat} chat */
  closeChat(chat) {
    const opened = this.#opened.get(chat.id);
    if (this.#chats.get(chat.id) !== chat || opened === undefined) return;
    opened.uses -= 1;
    if (opened.uses > 0) return;
    chat.close();
    this.#opened.delete(chat.id);
    this.#chats.delete(chat.id);
    if (this.#visible === chat) this.show(null);
  }

  /**
   * Say which chat is in front of the person. Only in that one can be written.
   *
   * @param {Chat | null} chat
   */
  show(chat) {
    if (chat === this.#visible) return;
    this.#visible = chat;
    this.#visibleSince = performance.now();
  }

  /** Whether a chat is in front of the person, and has been for long enough to be noticed. @param {Chat} chat */
  isVisible(chat) {
    return this.#visible === chat && performance.now() - this.#visibleSince >= JUST_CHANGED_MS;
  }

  /**
   * The channels of a session, once the token grants them; null while it does not (an hour before the start it will).
   * `seal` is null where the chat is not encrypted.
   *
   * @param {string} sessionId
   * @returns {Promise<{chat: any, typing: any, seal?: Seal | null} | null>}
   */
  async realtimeFor(sessionId) {
    if (this.#realtime === null) return null;
    if (!(this.#channelsOf(sessionId).channelName in this.#capability)) await this.renew();
    const { channelName, typingChannelName, cipherKey, proofKey = "" } = this.#channelsOf(sessionId);
    if (!(channelName in this.#capability)) return null;
    const seal = cipherKey === undefined ? null : new Seal(cipherKey, proofKey);
    const { channels } = this.#realtime;
    return { chat: channels.get(channelName, seal?.channelOptions), typing: channels.get(typingChannelName), seal };
  }

  /** The names of a session's channels, as the last token said; as they are by default where it said nothing. @param {string} sessionId */
  #channelsOf(sessionId) {
    return this.#channels.get(sessionId) ?? { channelName: `chat:session:${sessionId}`, typingChannelName: `typing:session:${sessionId}` };
  }

  /** Whether one may type and be present in a session: the token says so once its chat is open. @param {string} sessionId */
  mayTakePart(sessionId) {
    const operations = this.#capability[this.#channelsOf(sessionId).channelName] ?? [];
    return operations.includes("presence") || operations.includes("*");
  }

  /** Get a new token now: the sessions that it serves for, or what it allows there, may be others. Several at once are one. */
  renew() {
    this.#renewing ??= this.#authorize().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async #authorize() {
    try {
      await this.#realtime.auth.authorize();
    } catch {
      // The SDK goes on trying; the API says what is missed meanwhile.
    }
  }

  /** Keep at once what is being written: the page may be gone in a moment. */
  keep = () => {
    for (const chat of this.#chats.values()) chat.keep();
  };

  #keepHidden = () => {
    if (globalThis.document.visibilityState === "hidden") this.keep();
  };

  /** Whether something is kept on this device that the service does not have. @returns {Promise<boolean>} */
  async hasUnsent() {
    this.keep();
    return !(await this.storage.isEmpty());
  }

  /** Close everything. What is not sent stays kept, for the next time. */
  close() {
    this.#isClosed = true;
    globalThis.removeEventListener?.("pagehide", this.keep);
    globalThis.document?.removeEventListener("visibilitychange", this.#keepHidden);
    globalThis.removeEventListener?.("online", this.#resume);
    globalThis.document?.removeEventListener("visibilitychange", this.#resume);
    for (const chat of this.#chats.values()) chat.close();
    this.#chats.clear();
    this.#opened.clear();
    this.#realtime?.close();
    this.storage.close();
  }

  /** Forget what is kept on this device, drafts and all, and close. */
  async signOut() {
    await this.storage.clear();
    this.close();
  }

  /** @type {Map<string, {url: string, until: number}>} */
  #links = new Map();

  /**
   * The address of an attachment, which serves for some minutes; asked for again when it has run out.
   *
   * @param {{id: string, url?: string, expiresAt?: string}} attachment
   * @returns {Promise<string>}
   */
  async linkTo(attachment) {
    const known = this.#links.get(attachment.id);
    if (known !== undefined && known.until > this.clock.now()) return known.url;
    const fresh = attachment.expiresAt !== undefined && Date.parse(attachment.expiresAt) - LINK_MARGIN_MS > this.clock.now();
    const described = fresh ? attachment : await this.api.get(`/chat/attachments/${attachment.id}`);
    const url = new URL(described.url, `${this.api.baseUrl}/`).href;
    this.#links.set(attachment.id, { url, until: Date.parse(described.expiresAt) - LINK_MARGIN_MS });
    return url;
  }
}

/**
 * Read who a token is for. It is not verified here: the service does that.
 *
 * @param {string} token
 * @returns {Me}
 */
export function readToken(token) {
  const part = token.split(".")[1] ?? "";
  const bytes = Uint8Array.from(atob(part.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
  const said = JSON.parse(new TextDecoder().decode(bytes));
  return { id: said.sub, role: said.role, fullName: said.fullName };
}

/**
 * What the SDK has to know of a refusal: 403 makes it give up, everything else is tried again.
 *
 * @param {any} error
 */
function asAblyError(error) {
  const final = error instanceof ApiError && !error.isTemporary;
  return { code: final ? 40300 : 80019, statusCode: final ? 403 : 401, message: error.message };
}
