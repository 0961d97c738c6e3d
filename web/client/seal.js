/**
 * What is encrypted on its way: a chat's channel where the service keeps from Ably what is said.
 *
 * Ably's SDK decrypts with `cipherKey`. That hides what is said and proves nothing, so each payload has a `proof`, a
 * code over the event's name and the payload, which only the service and the two participants can make. What does not
 * verify is taken for a sign that something was said, and read from the history.
 */

const HMAC = { name: "HMAC", hash: "SHA-256" };
const PROOF_BYTES = 16;

export class Seal {
  /** @type {Promise<CryptoKey> | null} */
  #key = null;
  #proofKey;

  /**
   * @param {string} cipherKey of Ably's SDK, base64
   * @param {string} proofKey base64
   */
  constructor(cipherKey, proofKey) {
    this.cipherKey = cipherKey;
    this.#proofKey = proofKey;
  }

  /** Options of the SDK for the channel. A page without a secure context cannot decrypt; it reads the history. */
  get channelOptions() {
    return canDecrypt() ? { cipher: { key: this.cipherKey } } : undefined;
  }

  /**
   * Return the payload of an event, without its proof; null for one that is not the service's, or cannot be read.
   *
   * @param {{name: string, data: any}} event
   * @returns {Promise<any>}
   */
  async open({ name, data }) {
    // Bytes: with another key, or none.
    if (!canDecrypt() || typeof data?.proof !== "string") return null;
    const { proof, ...payload } = data;
    try {
      this.#key ??= crypto.subtle.importKey("raw", bytesOf(this.#proofKey), HMAC, false, ["sign"]);
      const said = new TextEncoder().encode(`${name}\n${JSON.stringify(payload)}`);
      const code = new Uint8Array(await crypto.subtle.sign(HMAC.name, await this.#key, said)).slice(0, PROOF_BYTES);
      return isSame(code, bytesOf(proof)) ? payload : null;
    } catch {
      return null;
    }
  }
}

const canDecrypt = () => globalThis.crypto?.subtle !== undefined;

/** Compare in a time that does not tell where they differ. @param {Uint8Array} one @param {Uint8Array} other */
const isSame = (one, other) => one.length === other.length && one.reduce((differs, byte, place) => differs | (byte ^ other[place]), 0) === 0;

/** @param {string} base64 */
const bytesOf = (base64) => Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
