/** Calls of the HTTP API: the envelope is opened, refusals are thrown, and 401 is tried once more with a new token. */

/** A refusal of the service, or no answer at all (`code` is then `OFFLINE`). */
export class ApiError extends Error {
  /**
   * @param {object} said
   * @param {number} said.status the HTTP status; 0 when there was no answer
   * @param {string} said.code the code of the contract, as `CHAT_NOT_ENABLED`
   * @param {string} said.message
   * @param {Record<string, string[]>} [said.errors] what is wrong with which field
   * @param {string} [said.requestId] what to name when asking for help
   * @param {number | null} [said.retryAfter] seconds to wait before the same again
   * @param {unknown} [said.cause]
   */
  constructor({ status, code, message, errors = {}, requestId = "", retryAfter = null, cause }) {
    super(message, { cause });
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.errors = errors;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request can succeed later. A message that failed so is kept and sent again. */
  get isTemporary() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500 || this.code === "IDEMPOTENCY_IN_FLIGHT";
  }
}

/**
 * @typedef {object} Asked
 * @property {Record<string, string | number | boolean | null | undefined>} [query] empty ones are left out
 * @property {unknown} [body] sent as JSON
 * @property {FormData} [form] sent as it is
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {(share: number) => void} [onProgress] how much of a form is sent, 0 to 1 (browsers only)
 */

const PREFIX = "/api/v1";
const PATIENCE_MS = 30_000;
/** A file that has not moved for so long is given up and sent again. */
const STALLED_MS = 60_000;

export class Api {
  #token = "";

  /**
   * @param {object} given
   * @param {string} given.baseUrl where the service is, without a slash at the end
   * @param {(renew: boolean) => Promise<string>} given.getToken the caller's token; `renew`: the last one was refused
   * @param {import("./clock.js").ServerClock} given.clock
   * @param {typeof fetch} [given.fetch]
   */
  constructor({ baseUrl, getToken, clock, fetch: send = (...given) => fetch(...given) }) {
    this.baseUrl = baseUrl.replace(/\/+$/, "");
    this.getToken = getToken;
    this.clock = clock;
    this.fetch = send;
  }

  /**
   * @param {string} path
   * @param {Asked} [asked]
   * @returns {Promise<any>} the `data` of the answer
   */
  get(path, asked) {
    return this.#call("GET", path, asked);
  }

  /** @param {string} path @param {Asked} [asked] @returns {Promise<any>} */
  post(path, asked) {
    return this.#call("POST", path, asked);
  }

  /** @param {string} path @param {Asked} [asked] @returns {Promise<any>} */
  put(path, asked) {
    return this.#call("PUT", path, asked);
  }

  /** @param {string} path @param {Asked} [asked] @returns {Promise<any>} */
  delete(path, asked) {
    return this.#call("DELETE", path, asked);
  }

  /**
   * Get something with its tag, which `If-Match` takes when it is changed: so that two tabs do not overwrite each other.
   *
   * @param {string} path
   * @param {Asked} [asked]
   * @returns {Promise<{data: any, etag: string}>}
   */
  getTagged(path, asked) {
    return this.#call("GET", path, asked, tagged);
  }

  /**
   * Put something and get its new tag, for the next change.
   *
   * @param {string} path
   * @param {Asked} [asked]
   * @returns {Promise<{data: any, etag: string}>}
   */
  putTagged(path, asked) {
    return this.#call("PUT", path, asked, tagged);
  }

  /** Get what is no JSON, as a transcript to keep. @param {string} path @param {Asked} [asked] @returns {Promise<Blob>} */
  getFile(path, asked) {
    return this.#call("GET", path, asked, (answer) => (answer.ok ? answer.blob() : opened(answer)));
  }

  /** @param {string} method @param {string} path @param {Asked} [asked] @param {(answer: Response) => Promise<any>} [read] @returns {Promise<any>} */
  async #call(method, path, asked = {}, read = opened) {
    if (this.#token === "") this.#token = await this.#fetchToken(false);
    try {
      return await this.#send(method, path, asked, read);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
    }
    this.#token = await this.#fetchToken(true);
    return this.#send(method, path, asked, read);
  }

  /** A token that could not be fetched is no refusal: it can be had later. @param {boolean} renew */
  async #fetchToken(renew) {
    try {
      return await this.getToken(renew);
    } catch (cause) {
      if (cause instanceof ApiError) throw cause;
      throw new ApiError({ status: 0, code: "OFFLINE", message: "No token can be had.", cause });
    }
  }

  /** @param {string} method @param {string} path @param {Asked} asked @param {(answer: Response) => Promise<any>} read @returns {Promise<any>} */
  async #send(method, path, { query = {}, body, form, headers = {}, signal, onProgress }, read) {
    const url = new URL(this.baseUrl + PREFIX + path);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null) url.searchParams.set(name, String(value));
    }
    /** @type {Record<string, string>} */
    const sent = { Accept: "application/json", Authorization: `Bearer ${this.#token}`, ...headers };
    if (body !== undefined) sent["Content-Type"] = "application/json";
    const content = body !== undefined ? JSON.stringify(body) : form;
    // A file takes as long as its net takes; everything else is given up, or a dead connection would be waited for.
    const limit = form === undefined ? AbortSignal.timeout(PATIENCE_MS) : undefined;
    const stop = signal && limit ? AbortSignal.any([signal, limit]) : signal ?? limit;
    const sentAt = Date.now();
    let answer;
    try {
      answer =
        form !== undefined && onProgress !== undefined && typeof XMLHttpRequest !== "undefined"
          ? await sendWithProgress(method, url, sent, form, stop, onProgress)
          : await this.fetch(url, { method, headers: sent, body: /** @type {any} */ (content), signal: stop, cache: "no-store" });
    } catch (cause) {
      if (signal?.aborted) throw cause;
      throw new ApiError({ status: 0, code: "OFFLINE", message: "The service cannot be reached.", cause });
    }
    this.clock.observe(answer.headers.get("Date"), sentAt, Date.now());
    return read(answer);
  }
}

/** @param {Response} answer @returns {Promise<{data: any, etag: string}>} */
const tagged = async (answer) => ({ data: await opened(answer), etag: answer.headers.get("ETag") ?? "" });

/** @param {Response} answer @returns {Promise<any>} */
async function opened(answer) {
  /** @type {any} */
  let said = null;
  try {
    said = await answer.json();
  } catch (cause) {
    // A proxy's page, or an answer that broke off.
    if (answer.ok) throw new ApiError({ status: 0, code: "OFFLINE", message: "The answer broke off.", cause });
  }
  if (answer.ok) return said?.data;
  const wait = Number(answer.headers.get("Retry-After") ?? NaN);
  throw new ApiError({
    status: answer.status,
    code: said?.code ?? "UNKNOWN",
    message: said?.message ?? `The service answered with ${answer.status}.`,
    errors: said?.errors,
    requestId: said?.requestId ?? answer.headers.get("X-Request-Id") ?? "",
    retryAfter: Number.isFinite(wait) ? wait : null,
  });
}

/**
 * Send a form and say how much of it is sent, which `fetch` cannot.
 *
 * @param {string} method
 * @param {URL} url
 * @param {Record<string, string>} headers
 * @param {FormData} form
 * @param {AbortSignal | undefined} signal
 * @param {(share: number) => void} onProgress
 * @returns {Promise<Response>}
 */
function sendWithProgress(method, url, headers, form, signal, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    // However slow the net is: where nothing moves for a while, it is dead, and what waits behind would wait for good.
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let patience;
    const moved = () => {
      clearTimeout(patience);
      patience = setTimeout(() => request.abort(), STALLED_MS);
    };
    request.upload.onprogress = (event) => {
      moved();
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    request.onloadend = () => clearTimeout(patience);
    request.onerror = () => reject(new TypeError("network error"));
    request.onabort = () => reject(signal?.reason ?? new TypeError("aborted"));
    request.onload = () => {
      const answered = new Headers();
      for (const name of ["Date", "Retry-After", "X-Request-Id"]) {
        const value = request.getResponseHeader(name);
        if (value !== null) answered.set(name, value);
      }
      resolve(new Response(request.responseText, { status: request.status, headers: answered }));
    };
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    moved();
    request.send(form);
  });
}
