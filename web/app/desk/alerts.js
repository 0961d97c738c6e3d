/** How the desk draws attention: a short quiet sound and a notice of the system, both off until they are chosen. */
import { signal } from "@preact/signals";
import { keep, read } from "../preferences.js";
import { t } from "../texts.js";

/** @typedef {import("../../client/chat.js").Chat} Chat */

const PAUSE_MS = 3_000;
const LOUDNESS = 0.06;
const TONES = [
  { hertz: 587, at: 0, seconds: 0.18 },
  { hertz: 784, at: 0.12, seconds: 0.28 },
];

export const hasSound = signal(read("desk-sound") === "on");
export const hasNotices = signal(read("desk-notices") === "on" && globalThis.Notification?.permission === "granted");
export const canNotify = () => typeof Notification !== "undefined" && Notification.permission !== "denied";

/** @type {AudioContext | null} */
let audio = null;
let alertedAt = -Infinity;

/** @param {boolean} on */
export function chooseSound(on) {
  hasSound.value = on;
  keep("desk-sound", on ? "on" : "off");
  if (on) play();
}

/** @param {boolean} on @returns {Promise<void>} */
export async function chooseNotices(on) {
  const allowed = on && (await Notification.requestPermission()) === "granted";
  hasNotices.value = allowed;
  keep("desk-notices", allowed ? "on" : "off");
}

/** Two soft notes. Where the browser forbids it until something is pressed, there is silence. */
function play() {
  try {
    audio ??= new AudioContext();
    void audio.resume();
    for (const { hertz, at, seconds } of TONES) {
      const begin = audio.currentTime + at;
      const tone = audio.createOscillator();
      const loudness = audio.createGain();
      tone.frequency.value = hertz;
      loudness.gain.setValueAtTime(0, begin);
      loudness.gain.linearRampToValueAtTime(LOUDNESS, begin + 0.02);
      loudness.gain.exponentialRampToValueAtTime(0.0001, begin + seconds);
      tone.connect(loudness).connect(audio.destination);
      tone.start(begin);
      tone.stop(begin + seconds);
    }
  } catch {
    // No sound here.
  }
}

/** It says that there is something, never what or from whom: others may see the screen. */
function notify() {
  if (!hasNotices.value || document.visibilityState === "visible") return;
  try {
    const notice = new Notification(t("desk.notice"), { tag: "rdchat-desk" });
    notice.onclick = () => window.focus();
  } catch {
    // Phones only let service workers do so.
  }
}

/**
 * Draw attention to what the client of a chat writes, unless it is in front of the reader.
 *
 * @param {Chat} chat
 * @param {() => boolean} isCurrent
 */
export function alertTo(chat, isCurrent) {
  let heard = chat.completeTo;
  chat.addEventListener("change", () => {
    if (chat.completeTo <= heard) return;
    const fresh = chat.messages.filter((one) => one.seq > heard && one.senderId === chat.session.clientId);
    heard = chat.completeTo;
    const isSeen = isCurrent() && document.visibilityState === "visible" && document.hasFocus();
    if (fresh.length === 0 || isSeen || performance.now() - alertedAt < PAUSE_MS) return;
    alertedAt = performance.now();
    if (hasSound.value) play();
    notify();
  });
}
