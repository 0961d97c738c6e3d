/**
 * The chats of a desk: those that are open and those that open within the hour. All stay open while the desk is, over one
 * connection, so that changing between them waits for nothing.
 *
 * They stand in the order of their starts, not of what was said last: what is chosen by place must not move away under
 * the pointer, nor a number of the keyboard mean another person than a moment ago.
 */
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { signal } from "@preact/signals";
import { alertTo } from "./alerts.js";

/** @typedef {import("../../client/chat.js").Chat} Chat */

const LOOK_MS = 60_000;
/** The service lets people listen from an hour before the start. */
const SOON_MS = 3_600_000;

export class LiveChats {
  /** @type {import("@preact/signals").Signal<Chat[]>} */
  chats = signal([]);
  /** The ids of those that one can write in, joined by blanks. It changes with them alone, chats with every key of the other. */
  open = signal("");
  isLoaded = signal(false);
  /** @type {import("@preact/signals").Signal<any>} why the list could not be fetched; null when it could */
  error = signal(null);
  /** The id of the session in front of the psychologist. */
  current = signal("");

  #rdchat;
  /** Opened by their address, whatever the list says. @type {Set<string>} */
  #asked = new Set();
  /** @type {Map<string, Promise<Chat>>} */
  #opening = new Map();
  /** @type {WeakMap<Chat, {insert: (text: string) => void}>} */
  #handles = new WeakMap();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  #isStopped = false;
  #isLooking = false;
  #again = false;

  /** @param {import("../../client/rdchat.js").Rdchat} rdchat */
  constructor(rdchat) {
    this.#rdchat = rdchat;
  }

  start() {
    this.#isStopped = false;
    this.#timer = setInterval(this.look, LOOK_MS);
    this.#rdchat.addEventListener("notification", this.look);
    this.#rdchat.addEventListener("connection", this.look);
    void this.look();
  }

  stop() {
    this.#isStopped = true;
    clearInterval(this.#timer);
    this.#rdchat.removeEventListener("notification", this.look);
    this.#rdchat.removeEventListener("connection", this.look);
    for (const chat of this.chats.value) this.#rdchat.closeChat(chat);
    this.chats.value = [];
    this.isLoaded.value = false;
  }

  /** Find out which chats there are, and open those that are not. Several calls at once are one more afterwards. */
  look = async () => {
    this.#again = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      while (this.#again && !this.#isStopped) {
        this.#again = false;
        await this.#look();
      }
    } finally {
      this.#isLooking = false;
    }
  };

  async #look() {
    const { api, clock } = this.#rdchat;
    const at = (/** @type {number} */ ms) => new Date(clock.now() + ms).toISOString();
    try {
      const [open, soon] = await Promise.all([
        api.get("/chat/sessions/active", { query: { limit: 100 } }),
        api.get("/counselings", { query: { status: "pending", from: at(-SOON_MS), to: at(SOON_MS), limit: 100 } }),
      ]);
      const ids = new Set([...open.data.map((/** @type {any} */ one) => one.id), ...soon.data.flatMap((/** @type {any} */ one) => one.chatSession?.sessionId ?? [])]);
      await Promise.all([...[...ids].map((id) => this.#open(id).catch(() => {})), this.#leave(ids)]);
      this.error.value = null;
    } catch (error) {
      this.error.value = error;
    }
    this.isLoaded.value = true;
  }

  /**
   * Open a chat that was asked for, also one that is long over. Throw an ApiError.
   *
   * @param {string} id the session's
   */
  bring(id) {
    this.#asked.add(id);
    return this.#open(id);
  }

  /** Take one away from the desk. @param {Chat} chat */
  drop(chat) {
    this.#asked.delete(chat.id);
    this.chats.value = this.chats.value.filter((one) => one !== chat);
    this.#rdchat.closeChat(chat);
  }

  /** The way to put a text into a chat's composer. @param {Chat} chat */
  handleOf(chat) {
    let handle = this.#handles.get(chat);
    if (handle === undefined) this.#handles.set(chat, (handle = { insert: () => {} }));
    return handle;
  }

  /** @param {string} id @returns {Promise<Chat>} */
  #open(id) {
    const known = this.#opening.get(id) ?? this.chats.value.find((one) => one.id === id);
    if (known !== undefined) return Promise.resolve(known);
    const opening = this.#rdchat.openChat(id).then((chat) => {
      if (this.#isStopped) this.#rdchat.closeChat(chat);
      else this.#add(chat);
      return chat;
    });
    this.#opening.set(id, opening);
    return opening.finally(() => this.#opening.delete(id));
  }

  /** @param {Chat} chat */
  #add(chat) {
    alertTo(chat, () => this.current.peek() === chat.id);
    chat.addEventListener("change", this.#countOpen);
    const start = (/** @type {Chat} */ one) => `${one.session.scheduledAt} ${one.id}`;
    this.chats.value = [...this.chats.value, chat].sort((one, other) => (start(one) < start(other) ? -1 : 1));
    this.#countOpen();
  }

  #countOpen = () => {
    this.open.value = this.chats.value.flatMap((chat) => (chat.isOpen ? chat.id : [])).join(" ");
  };

  /** Leave what was moved away or handed over; what is over stays to be read. @param {Set<string>} ids */
  async #leave(ids) {
    const doubtful = this.chats.value.filter((chat) => !ids.has(chat.id) && !chat.isOver);
    await Promise.all(
      doubtful.map(async (chat) => {
        try {
          const session = await this.#rdchat.api.get(`/chat/sessions/${chat.id}`);
          if (session.status === "pending" && !this.#asked.has(chat.id)) this.drop(chat);
        } catch (error) {
          if ([403, 404].includes(/** @type {any} */ (error).status)) this.drop(chat);
        }
      }),
    );
  }
}

export const Desk = createContext(/** @type {LiveChats} */ (/** @type {unknown} */ (null)));

/** The chats of the desk around a component. */
export const useDesk = () => useContext(Desk);
