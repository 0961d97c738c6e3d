/** The keyboard of the desk, and the dialog that explains it. */
import { useEffect, useState } from "preact/hooks";
import { t } from "../texts.js";
import { Dialog } from "../ui/dialog.js";
import { html } from "../ui/html.js";

/** @typedef {import("../../client/chat.js").Chat} Chat */

const MOST = 5;
const isField = (/** @type {EventTarget | null} */ target) => target instanceof HTMLElement && target.matches("input, textarea, select");

/**
 * @param {Chat[]} chats
 * @param {string} current
 * @param {(id: string) => void} choose
 */
export function useDeskKeys(chats, current, choose) {
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    const onKey = (/** @type {KeyboardEvent} */ event) => {
      if (document.querySelector("dialog[open]")) return;
      if (event.key === "?" && !isField(event.target)) {
        event.preventDefault();
        setOpen(true);
        return;
      }
      if (!event.altKey || event.ctrlKey || event.metaKey || chats.length === 0) return;
      const chosen = /^Digit[1-9]$/.test(event.code) ? chats[Number(event.code.slice(5)) - 1] : beside(chats, current, event.key);
      if (chosen === undefined || (/^Digit/.test(event.code) && Number(event.code.slice(5)) > MOST)) return;
      event.preventDefault();
      choose(chosen.id);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [chats, current, choose]);
  return { isOpen, open: () => setOpen(true), close: () => setOpen(false) };
}

/** The chat before or behind the current one, around the ends. @param {Chat[]} chats @param {string} current @param {string} key */
function beside(chats, current, key) {
  const step = { ArrowUp: -1, ArrowDown: 1 }[key];
  if (step === undefined) return undefined;
  const at = chats.findIndex((chat) => chat.id === current);
  return at < 0 ? chats[0] : chats[(at + step + chats.length) % chats.length];
}

const KEYS = [
  ["Alt 1 – 5", "desk.keys.number"],
  ["Alt ↑ ↓", "desk.keys.arrows"],
  ["/", "desk.keys.slash"],
  ["Enter", "desk.keys.enter"],
  ["Shift Enter", "desk.keys.shift"],
  ["?", "desk.keys.help"],
];

/** @param {{onClose: () => void}} props */
export const KeysDialog = ({ onClose }) => html`
  <${Dialog} title=${t("desk.keys")} onClose=${onClose}>
    <dl class="keys">
      ${KEYS.map(([key, words]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${t(words)}</dd></div>`)}
    </dl>
    <p class="small soft">${t("desk.keys.safe")}</p>
  <//>
`;
