/** Counsellings as the client's screens say them. */
import { settings } from "../settings.js";
import { t } from "../texts.js";
import { clockTime, dayName, ownZone, span } from "../ui/time.js";

const HOUR_MS = 3_600_000;

/**
 * @typedef {object} Counseling as `GET /counselings` has it
 * @property {string} id
 * @property {string} method
 * @property {"pending" | "active" | "completed" | "cancelled"} status
 * @property {string} scheduledAt
 * @property {string} endsAt
 * @property {{id: string, fullName: string}} psychologist
 * @property {{sessionId: string, status: string, isChatEnabled: boolean} | null} chatSession
 * @property {string | null} [cancelReason]
 * @property {string | null} [notes]
 * @property {string} [ics]
 */

/** @param {Counseling} one */
export const isAhead = (one) => one.status === "pending" || one.status === "active";

/** `Besok, 14.00–15.00`. @param {Counseling | {scheduledAt: string, endsAt: string}} one @param {number} now @param {string} [zone] */
export const whenOf = (one, now, zone = ownZone) => `${dayName(one.scheduledAt, now, zone)}, ${span(one.scheduledAt, one.endsAt, zone)}`;

/** `besok, 14.00–15.00`: a time within a sentence. Names of days and months stay as they are. @param {string} when */
export function inSentence(when) {
  const isRelative = ["today", "tomorrow", "yesterday"].some((day) => when.startsWith(t(`app.${day}`)));
  return isRelative ? when.charAt(0).toLowerCase() + when.slice(1) : when;
}

/** The state in plain words. @param {Counseling} one */
export const statusOf = (one) => t(`status.${one.chatSession?.status === "ending_soon" ? "ending_soon" : one.status}`);

/** A zone as people read it. @param {string} zone */
export const zoneName = (zone) => zone.replace(/_/g, " ");

/** From when on its waiting room is worth a visit. @param {Counseling} one */
export const waitingFrom = (one) => Date.parse(one.scheduledAt) - HOUR_MS;

/**
 * Where its chat is to be found now, if it is.
 *
 * @param {Counseling} one
 * @param {number} now
 * @returns {{to: string, words: string} | null}
 */
export function chatOf(one, now) {
  const session = one.chatSession;
  if (session === null) return null;
  const to = `/chat/${session.sessionId}`;
  if (session.isChatEnabled) return { to, words: t("client.toChat") };
  if (one.status === "pending" && now >= waitingFrom(one)) return { to, words: t("client.toWait") };
  return null;
}

/**
 * Until when a client may move or cancel.
 *
 * @param {Counseling} one
 * @returns {{until: number, words: (now: number) => string}} an instant, and the sentence about it
 */
export function deadlineOf(one) {
  const until = Date.parse(one.scheduledAt) - 1000 * (settings.cancelDeadline ?? 0);
  const words = (/** @type {number} */ now) => {
    if (!settings.cancelDeadline) return t("client.untilStart");
    return t(now > until ? "client.tooLate" : "client.until", { when: inSentence(`${dayName(until, now)}, ${clockTime(until)}`) });
  };
  return { until, words };
}

/** A random key for a request that must not be carried out twice. */
export const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/**
 * Seconds in words, as `10 menit`.
 *
 * @param {number} seconds
 * @param {string} language
 */
export function lengthOf(seconds, language) {
  const english = language === "en";
  const units = /** @type {[number, string, string][]} */ ([
    [86_400, "hari", "day"],
    [3_600, "jam", "hour"],
    [60, "menit", "minute"],
    [1, "detik", "second"],
  ]);
  const [size, id, en] = units.find(([one]) => seconds >= one && seconds % one === 0) ?? units[3];
  const n = seconds / size;
  return english ? `${n} ${en}${n === 1 ? "" : "s"}` : `${n} ${id}`;
}
