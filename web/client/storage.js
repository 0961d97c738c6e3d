/**
 * What must survive a reload: drafts, and messages that the service has not confirmed.
 *
 * It belongs to a person and, within, to a session: nothing is ever read for another. Where the browser gives no
 * storage (forbidden, full, private), it is kept in memory, and `isDurable` says so, that the page can too.
 *
 * @typedef {object} Kept
 * @property {string} key the person, the session and an id, joined by "|"
 * @property {any} value
 */

const DATABASE = "rdchat";
const TABLE = "kept";
/** Some browsers never answer: the page must not wait for that. */
const OPENING_MS = 3_000;

export class Storage {
  /** @type {Map<string, any>} */
  #memory = new Map();
  /** @type {IDBDatabase | null} */
  #database = null;
  #isForgotten = false;
  #person;

  /** @param {string} person the id of the person whose it is */
  constructor(person) {
    this.#person = person;
    this.isDurable = false;
  }

  /**
   * Open the storage of a person. It never fails: see `isDurable`.
   *
   * @param {string} person
   * @returns {Promise<Storage>}
   */
  static async open(person) {
    const storage = new Storage(person);
    try {
      // Where it is forbidden, even asking for its name may throw.
      if (typeof indexedDB !== "undefined") {
        storage.#database = await openDatabase(OPENING_MS);
        storage.isDurable = true;
      }
    } catch {
      // Kept in memory.
    }
    return storage;
  }

  /**
   * Write one thing.
   *
   * @param {string} session
   * @param {string} id
   * @param {any} value
   */
  async put(session, id, value) {
    if (this.#isForgotten) return;
    const key = this.#key(session, id);
    this.#memory.set(key, value);
    try {
      await this.#do("readwrite", (table) => table.put(value, key));
    } catch {
      // Full, or taken away while it was open: what is in memory is all there is.
      this.isDurable = false;
    }
  }

  /** @param {string} session @param {string} id */
  async delete(session, id) {
    const key = this.#key(session, id);
    this.#memory.delete(key);
    try {
      await this.#do("readwrite", (table) => table.delete(key));
    } catch {
      this.isDurable = false;
    }
  }

  /**
   * Read what is kept of a session.
   *
   * @param {string} session
   * @returns {Promise<Map<string, any>>} by id, in the order of ids
   */
  async list(session) {
    const prefix = this.#key(session, "");
    /** @type {Map<string, any>} */
    const found = new Map();
    try {
      const range = this.#database && IDBKeyRange.bound(prefix, `${prefix}\uffff`);
      const [keys, values] = await Promise.all([
        this.#do("readonly", (table) => table.getAllKeys(range)),
        this.#do("readonly", (table) => table.getAll(range)),
      ]);
      for (const [place, key] of (keys ?? []).entries()) found.set(String(key).slice(prefix.length), values[place]);
    } catch {
      this.isDurable = false;
    }
    for (const [key, value] of this.#memory) if (key.startsWith(prefix)) found.set(key.slice(prefix.length), value);
    return new Map([...found].sort(([one], [other]) => (one < other ? -1 : 1)));
  }

  /** Whether nothing is kept of this person. @returns {Promise<boolean>} */
  async isEmpty() {
    if (this.#memory.size > 0) return false;
    try {
      const prefix = `${this.#person}|`;
      return !(await this.#do("readonly", (table) => table.count(IDBKeyRange.bound(prefix, `${prefix}\uffff`))));
    } catch {
      return true;
    }
  }

  /** Forget everything of this person, as at sign-out, and keep nothing more: what is still under way must not stay. */
  async clear() {
    this.#isForgotten = true;
    const prefix = `${this.#person}|`;
    this.#memory.clear();
    try {
      await this.#do("readwrite", (table) => table.delete(IDBKeyRange.bound(prefix, `${prefix}\uffff`)));
    } catch {
      this.isDurable = false;
    }
  }

  close() {
    this.#database?.close();
    this.#database = null;
  }

  /** @param {string} session @param {string} id */
  #key(session, id) {
    return `${this.#person}|${session}|${id}`;
  }

  /**
   * @param {IDBTransactionMode} mode
   * @param {(table: IDBObjectStore) => IDBRequest} work
   * @returns {Promise<any>} null without a database
   */
  #do(mode, work) {
    const database = this.#database;
    if (database === null) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(TABLE, mode);
      const request = work(transaction.objectStore(TABLE));
      // Not when the browser next looks: a page that goes just now would take it along.
      if (mode === "readwrite") transaction.commit?.();
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
      transaction.onerror = () => reject(transaction.error);
    });
  }
}

/** @param {number} patience milliseconds @returns {Promise<IDBDatabase>} */
function openDatabase(patience) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    let isLate = false;
    const giveUp = (/** @type {unknown} */ error) => {
      isLate = true;
      reject(error);
    };
    const timer = setTimeout(() => giveUp(new Error("the browser does not answer")), patience);
    request.onupgradeneeded = () => request.result.createObjectStore(TABLE);
    request.onsuccess = () => {
      clearTimeout(timer);
      if (isLate) request.result.close();
      else resolve(request.result);
    };
    request.onerror = () => giveUp(request.error);
    request.onblocked = () => giveUp(new Error("another tab holds an older one"));
  });
}
