/** The frame of the client's screens, with their navigation. */
import { useEffect } from "preact/hooks";
import { identity } from "../identity.js";
import { t } from "../texts.js";
import { Frame } from "../ui/frame.js";
import { html } from "../ui/html.js";
import { say } from "../ui/toasts.js";
import { countNews, unreadNews, useLive } from "./live.js";

/** Say what one is told of while it happens; but for what one has just done oneself. */
function useSaying() {
  useEffect(() => {
    const rdchat = identity.peek()?.rdchat;
    const onNotification = (/** @type {any} */ event) => event.detail.type !== "counseling_booked" && say(event.detail.message);
    rdchat?.addEventListener("notification", onNotification);
    return () => rdchat?.removeEventListener("notification", onNotification);
  }, []);
}

/** @param {{title: string, wide?: boolean, children?: any}} props */
export function ClientFrame({ title, wide = false, children }) {
  useEffect(() => void countNews(), []);
  useLive(countNews);
  useSaying();
  const nav = [
    { to: "/", words: t("client.sessions"), icon: "list", section: "/counselings" },
    { to: "/book", words: t("client.book"), icon: "calendar" },
    { to: "/news", words: t("client.news"), icon: "bell", count: unreadNews.value },
  ];
  return html`<${Frame} title=${title} nav=${nav}><div class=${`page client ${wide ? "page-wide" : ""}`}>${children}</div><//>`;
}
