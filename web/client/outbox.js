/**
 * What was written in one chat and is not confirmed yet: kept in storage, sent in order, one at a time.
 *
 * Each has an id of its own, the `clientMessageId`: sent twice, the service stores it once. What fails for now is sent
 * again until it succeeds; what is refused for good stays, with the reason, until it is tried again or discarded. Without
 * a token all waits until it is woken.
 */
import { ApiError } from "./api.js";

/**
 * @typedef {object} Pending
 * @property {string} id the `clientMessageId`
 * @property {string} text
 * @property {Blob | null} file
 * @property {string} fileName
 * @property {number} at when it was written: milliseconds since 1970, by this device's clock
 * @property {"waiting" | "sending" | "refused"} state
 * @property {string} code why it was refused, as a code of the contract
 * @property {string} reason the same in the service's words
 * @property {number} progress how much of its file is sent, 0 to 1
 */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 20_000;
const UNAUTHENTICATED = 401;
const IDS = "sent:";

export class Outbox {
  /** @type {Map<string, Pending>} */
  #pending = new Map();
  #running = false;
  #closed = false;
  #wake = () => {};
  #given;
  #count = 0;

  /**
   * @param {object} given
   * @param {string} given.sessionId
   * @param {import("./storage.js").Storage} given.storage
   * @param {(pending: Pending) => Promise<any>} given.send sends one; throws an ApiError
   * @param {(message: any) => void} given.onSent is told the message that the service has stored
   * @param {() => void} given.onChange
   */
  constructor(given) {
    this.#given = given;
  }

  /** What waits, in the order of writing. @returns {Pending[]} */
  get pending() {
    return [...this.#pending.values()];
  }

  /** Take up what an earlier page has left. */
  async load() {
    for (const [id, kept] of await this.#given.storage.list(this.#given.sessionId)) {
      if (!id.startsWith(IDS) || this.#pending.has(kept.id)) continue;
      this.#pending.set(kept.id, { ...kept, state: kept.state === "refused" ? "refused" : "waiting", progress: 0 });
    }
    this.#given.onChange();
    void this.#run();
  }

  /**
   * Send something. It is shown at once, and kept before it is sent.
   *
   * @param {string} text
   * @param {Blob | null} [file]
   * @param {string} [fileName]
   * @returns {Promise<Pending>} when it is kept
   */
  async add(text, file = null, fileName = "") {
    /** @type {Pending} */
    const pending = { id: this.#newId(), text, file, fileName, at: Date.now(), state: "waiting", code: "", reason: "", progress: 0 };
    this.#pending.set(pending.id, pending);
    this.#given.onChange();
    await this.#keep(pending);
    void this.#run();
    return pending;
  }

  /** Try again what was refused. @param {string} id */
  retry(id) {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    pending.state = "waiting";
    this.#given.onChange();
    this.wake();
  }

  /** Give up what is not being sent. @param {string} id @returns {Pending | undefined} what it was */
  discard(id) {
    const pending = this.#pending.get(id);
    if (pending === undefined || pending.state === "sending") return undefined;
    this.#forget(pending);
    return pending;
  }

  /**
   * Note that the service has a message: also by its event, which can come before the answer, or instead of it.
   *
   * @param {string | undefined} clientMessageId
   */
  confirm(clientMessageId) {
    const pending = clientMessageId === undefined ? undefined : this.#pending.get(clientMessageId);
    if (pending !== undefined) this.#forget(pending);
  }

  /** Send now what waits for a better time. */
  wake() {
    this.#wake();
    void this.#run();
  }

  close() {
    this.#closed = true;
    this.#wake();
  }

  async #run() {
    if (this.#running || this.#closed) return;
    this.#running = true;
    let failures = 0;
    try {
      for (let next = this.#next(); next !== undefined && !this.#closed; next = this.#next()) {
        const failed = await this.#attempt(next);
        if (failed?.status === UNAUTHENTICATED) return;
        failures = failed === null ? 0 : failures + 1;
        if (failed !== null) await this.#pause(failed, failures);
      }
    } finally {
      this.#running = false;
    }
  }

  #next() {
    return this.pending.find((one) => one.state === "waiting");
  }

  /** @param {Pending} pending @returns {Promise<ApiError | null>} why it has to be tried again */
  async #attempt(pending) {
    pending.state = "sending";
    pending.progress = 0;
    this.#given.onChange();
    try {
      const message = await this.#given.send(pending);
      this.#forget(pending);
      this.#given.onSent(message);
      return null;
    } catch (error) {
      // Confirmed by its event meanwhile: whatever happened to the answer, it is sent.
      if (!this.#pending.has(pending.id)) return null;
      const refusal = error instanceof ApiError ? error : new ApiError({ status: 0, code: "OFFLINE", message: String(error) });
      const isWaiting = refusal.isTemporary || refusal.status === UNAUTHENTICATED;
      pending.state = isWaiting ? "waiting" : "refused";
      pending.code = refusal.code;
      pending.reason = refusal.message;
      this.#given.onChange();
      if (isWaiting) return refusal;
      await this.#keep(pending);
      return null;
    }
  }

  /** @param {ApiError} error @param {number} failures */
  async #pause(error, failures) {
    const backoff = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
    const pause = error.retryAfter === null ? backoff : error.retryAfter * 1000;
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, pause);
      // Told to slow down, it does, whatever has come back meanwhile.
      this.#wake = () => {
        if (error.status === 429 && !this.#closed) return;
        clearTimeout(timer);
        resolve(undefined);
      };
    });
    this.#wake = () => {};
  }

  /** @param {Pending} pending */
  #keep(pending) {
    const { storage, sessionId } = this.#given;
    return storage.put(sessionId, IDS + pending.id, { ...pending });
  }

  /** @param {Pending} pending */
  #forget(pending) {
    this.#pending.delete(pending.id);
    void this.#given.storage.delete(this.#given.sessionId, IDS + pending.id);
    this.#given.onChange();
  }

  /** Make an id that sorts by time, so that what is read from storage is in the order of writing. */
  #newId() {
    const bytes = crypto.getRandomValues(new Uint8Array(10));
    const random = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return `${Date.now().toString(36).padStart(9, "0")}-${(this.#count++).toString(36).padStart(4, "0")}-${random}`;
  }
}
