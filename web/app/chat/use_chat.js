/** A chat of the reference client, as components see it: each that watches it is shown again when it changes. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { identity } from "../identity.js";

/** @typedef {import("../../client/chat.js").Chat} Chat */

/** @type {WeakMap<Chat, import("@preact/signals").Signal<number>>} */
const revisions = new WeakMap();

/**
 * Watch a chat: a component that calls this while it is drawn is drawn again after each change, at most once a frame.
 *
 * A chat is always the same object, and components are not drawn again for the same: so each has to say it.
 *
 * @param {Chat | null} chat
 */
export function watch(chat) {
  if (chat === null) return 0;
  let revision = revisions.get(chat);
  if (revision === undefined) {
    const made = signal(0);
    let isWaiting = false;
    chat.addEventListener("change", () => {
      if (isWaiting) return;
      isWaiting = true;
      requestAnimationFrame(() => {
        isWaiting = false;
        made.value += 1;
      });
    });
    revisions.set(chat, made);
    revision = made;
  }
  return revision.value;
}

/**
 * Open a chat, and close it when the screen is left.
 *
 * @param {string} sessionId
 * @returns {{chat: Chat | null, error: any, retry: () => void}}
 */
export function useChat(sessionId) {
  const [chat, setChat] = useState(/** @type {Chat | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [attempts, setAttempts] = useState(0);
  useEffect(() => {
    const rdchat = identity.peek()?.rdchat;
    let isGone = false;
    /** @type {Chat | null} */
    let opened = null;
    setError(null);
    rdchat?.openChat(sessionId).then(
      (found) => {
        opened = found;
        if (isGone) rdchat.closeChat(found);
        else setChat(found);
      },
      (failure) => !isGone && setError(failure),
    );
    return () => {
      isGone = true;
      if (opened !== null) rdchat?.closeChat(opened);
      setChat(null);
    };
  }, [sessionId, attempts]);
  return { chat: chat?.id === sessionId ? chat : null, error, retry: () => setAttempts((times) => times + 1) };
}
