/** A chat of the reference client, as a component sees it: shown again when it changes. */
import { useEffect, useRef, useState } from "preact/hooks";
import { identity } from "../identity.js";

/**
 * Show again whenever a chat changes, at most once a frame.
 *
 * @param {EventTarget | null} chat
 */
export function useChanges(chat) {
  const [, show] = useState(0);
  useEffect(() => {
    if (chat === null) return undefined;
    let frame = 0;
    const onChange = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        show((times) => times + 1);
      });
    };
    chat.addEventListener("change", onChange);
    onChange();
    return () => {
      chat.removeEventListener("change", onChange);
      cancelAnimationFrame(frame);
    };
  }, [chat]);
}

/**
 * Open a chat, and close it when the screen is left.
 *
 * @param {string} sessionId
 * @returns {{chat: import("../../client/chat.js").Chat | null, error: any, retry: () => void}}
 */
export function useChat(sessionId) {
  const [chat, setChat] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [attempts, setAttempts] = useState(0);
  const rdchat = useRef(identity.value?.rdchat);
  useEffect(() => {
    let isGone = false;
    /** @type {any} */
    let opened = null;
    setError(null);
    rdchat.current?.openChat(sessionId).then(
      (found) => {
        opened = found;
        if (isGone) rdchat.current?.closeChat(found);
        else setChat(found);
      },
      (failure) => !isGone && setError(failure),
    );
    return () => {
      isGone = true;
      if (opened !== null) rdchat.current?.closeChat(opened);
      setChat(null);
    };
  }, [sessionId, attempts]);
  useChanges(chat);
  return { chat: chat?.id === sessionId ? chat : null, error, retry: () => setAttempts((times) => times + 1) };
}
