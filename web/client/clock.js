/**
 * The server's time, from the `Date` header of its answers.
 *
 * Phones' clocks are wrong by minutes. A `Date` says the second in which an answer was made; each answer so bounds
 * how far the server's clock is ahead of this device's, and the bounds of several answers together are narrower
 * than any of them. Where they contradict each other, one of the two clocks was set: it begins again.
 */
export class ServerClock {
  #least = -Infinity;
  #most = Infinity;
  #now;

  /** @param {() => number} [now] this device's clock: milliseconds since 1970 */
  constructor(now = () => Date.now()) {
    this.#now = now;
  }

  /**
   * Take in an answer.
   *
   * @param {string | null} date its `Date` header
   * @param {number} sentAt when the request was sent, by this device's clock
   * @param {number} receivedAt when its answer came, by the same clock
   */
  observe(date, sentAt, receivedAt) {
    const second = date === null ? NaN : Date.parse(date);
    if (Number.isNaN(second)) return;
    const least = second - receivedAt;
    const most = second + 1000 - sentAt;
    if (least > this.#most || most < this.#least) {
      this.#least = least;
      this.#most = most;
      return;
    }
    this.#least = Math.max(this.#least, least);
    this.#most = Math.min(this.#most, most);
  }

  /** How far the server's clock is ahead, in milliseconds; 0 before the first answer. */
  get offset() {
    return Number.isFinite(this.#least) ? (this.#least + this.#most) / 2 : 0;
  }

  /** @returns {number} the server's time, in milliseconds since 1970 */
  now() {
    return this.#now() + this.offset;
  }
}
