/**
 * What a psychologist notes about a client, kept safe: every change lies on the device at once and at the service after a
 * short pause. Where another window has changed the notes meanwhile, both texts are kept until a person has chosen.
 */
import { signal } from "@preact/signals";
import { ApiError } from "../../client/rdchat.js";

/**
 * @typedef {"loading" | "failed" | "saved" | "changed" | "saving" | "waiting" | "conflict" | "refused"} NotesState
 *   `waiting`: the service cannot be reached, it is tried again; `refused`: it will not take the text
 */

const PAUSE_MS = 900;
const AGAIN_MS = 4_000;
const KEPT = "notes";

export class NotesKeeper {
  text = signal("");
  /** @type {import("@preact/signals").Signal<NotesState>} */
  state = signal(/** @type {NotesState} */ ("loading"));
  /** @type {import("@preact/signals").Signal<string | null>} when the service last took them */
  savedAt = signal(null);
  /** In a conflict: what the service has. */
  theirs = signal("");
  /** @type {import("@preact/signals").Signal<any>} */
  error = signal(null);

  #api;
  #storage;
  #path;
  #place;
  /** The tag of what `text` was made from. */
  #tag = "";
  #theirTag = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Promise<void> | null} */
  #saving = null;

  /**
   * @param {object} given
   * @param {import("../../client/api.js").Api} given.api
   * @param {import("../../client/storage.js").Storage} given.storage
   * @param {string} given.clientId
   */
  constructor({ api, storage, clientId }) {
    this.#api = api;
    this.#storage = storage;
    this.#path = `/clients/${clientId}/notes`;
    this.#place = `client ${clientId}`;
  }

  /** Load what the service has, and go on with what was not saved the last time. */
  async load() {
    this.state.value = "loading";
    this.error.value = null;
    try {
      const draft = (await this.#storage.list(this.#place)).get(KEPT);
      const { data, etag } = await this.#api.getTagged(this.#path);
      this.savedAt.value = data.updatedAt;
      this.#tag = etag;
      this.text.value = data.text;
      this.state.value = "saved";
      if (draft === undefined || draft.text === data.text) {
        await this.#forget();
      } else if (draft.tag === etag) {
        this.write(draft.text);
      } else {
        this.text.value = draft.text;
        this.#conflict(data.text, etag);
      }
    } catch (error) {
      this.error.value = error;
      this.state.value = "failed";
    }
  }

  /** Take in what is written now. @param {string} text */
  write(text) {
    this.text.value = text;
    void this.#storage.put(this.#place, KEPT, { text, tag: this.#tag });
    if (this.state.value === "conflict") return;
    this.state.value = "changed";
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.save(), PAUSE_MS);
  }

  /** Save now what is not saved yet, as before the page is left. @returns {Promise<void>} */
  save() {
    clearTimeout(this.#timer);
    if (this.#saving !== null) return this.#saving.then(() => this.save());
    if (!["changed", "waiting", "refused"].includes(this.state.value)) return Promise.resolve();
    this.#saving = this.#save().finally(() => (this.#saving = null));
    return this.#saving;
  }

  async #save() {
    const text = this.text.value;
    this.state.value = "saving";
    try {
      const { data, etag } = await this.#api.putTagged(this.#path, { body: { text }, headers: { "If-Match": this.#tag } });
      this.#tag = etag;
      this.savedAt.value = data.updatedAt;
      if (this.text.value === text) {
        this.state.value = "saved";
        await this.#forget();
      } else {
        // Written meanwhile: it is made from what was saved just now.
        this.write(this.text.value);
      }
    } catch (error) {
      await this.#failed(error);
    }
  }

  /** @param {unknown} error */
  async #failed(error) {
    const refusal = error instanceof ApiError ? error : new ApiError({ status: 0, code: "OFFLINE", message: String(error) });
    this.error.value = refusal;
    if (refusal.status === 412) {
      try {
        const { data, etag } = await this.#api.getTagged(this.#path);
        // The same text, as after an answer that was lost on its way.
        if (data.text !== this.text.value) return this.#conflict(data.text, etag);
        this.#tag = etag;
        this.savedAt.value = data.updatedAt;
        this.state.value = "saved";
        return await this.#forget();
      } catch {
        // Tried again with the old tag, which is refused again.
      }
    }
    if (refusal.isTemporary || refusal.status === 412) {
      this.state.value = "waiting";
      this.#timer = setTimeout(() => void this.save(), (refusal.retryAfter ?? 0) * 1000 || AGAIN_MS);
    } else {
      this.state.value = "refused";
    }
    return undefined;
  }

  /** @param {string} theirs @param {string} tag */
  #conflict(theirs, tag) {
    clearTimeout(this.#timer);
    this.theirs.value = theirs;
    this.#theirTag = tag;
    this.state.value = "conflict";
  }

  /** End a conflict with the text that is to be. @param {string} text */
  settle(text) {
    this.#tag = this.#theirTag;
    this.state.value = "changed";
    this.write(text);
    return this.save();
  }

  #forget() {
    return this.#storage.delete(this.#place, KEPT);
  }
}
