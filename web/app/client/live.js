/** What a client's screens show is fetched again when something has happened to it. */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { identity, isConnected } from "../identity.js";

/** Without a connection for as long as this, something may have been missed. Connecting at first is faster. */
const MISSED_MS = 5_000;

/** @returns {import("../../client/api.js").Api} of the one who is signed in */
export const api = () => /** @type {any} */ (identity.peek()).api;

/** How many notifications are unread. */
export const unreadNews = signal(0);

/** Count what is unread, for the mark in the navigation. */
export async function countNews() {
  try {
    unreadNews.value = (await api().get("/notifications", { query: { limit: 1 } })).unreadCount;
  } catch {
    // The mark stays as it was: everything else says that the service is away.
  }
}

/**
 * Call `reload` when the person is told of something, and when the page may have missed that.
 *
 * @param {() => unknown} reload
 * @param {(notification: any) => boolean} [concerns] whether what was told concerns the screen; all does unless said
 */
export function useLive(reload, concerns = () => true) {
  const latest = useRef({ reload, concerns });
  latest.current = { reload, concerns };
  const lostAt = useRef(Infinity);
  const connected = isConnected.value;
  useEffect(() => {
    if (!connected) lostAt.current = performance.now();
    else if (performance.now() - lostAt.current > MISSED_MS) void latest.current.reload();
  }, [connected]);
  useEffect(() => {
    const rdchat = identity.peek()?.rdchat;
    const onNotification = (/** @type {any} */ event) => latest.current.concerns(event.detail) && void latest.current.reload();
    const onVisible = () => document.visibilityState === "visible" && void latest.current.reload();
    rdchat?.addEventListener("notification", onNotification);
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      rdchat?.removeEventListener("notification", onNotification);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, []);
}

/**
 * Call `reload` again and again while something is overdue: a start that has come, and nothing has said so.
 *
 * @param {boolean} isOverdue
 * @param {() => unknown} reload
 */
export function useOverdue(isOverdue, reload) {
  const latest = useRef(reload);
  latest.current = reload;
  useEffect(() => {
    if (!isOverdue) return undefined;
    const timer = setInterval(() => void latest.current(), 5_000);
    return () => clearInterval(timer);
  }, [isOverdue]);
}
