/** The frame of the client's screens, with their navigation. */
import { useEffect } from "preact/hooks";
import { t } from "../texts.js";
import { Frame } from "../ui/frame.js";
import { html } from "../ui/html.js";
import { countNews, unreadNews, useLive } from "./live.js";

/** @param {{title: string, wide?: boolean, children?: any}} props */
export function ClientFrame({ title, wide = false, children }) {
  useEffect(() => void countNews(), []);
  useLive(countNews);
  const nav = [
    { to: "/", words: t("client.sessions"), icon: "list", section: "/counselings" },
    { to: "/book", words: t("client.book"), icon: "calendar" },
    { to: "/news", words: t("client.news"), icon: "bell", count: unreadNews.value },
  ];
  return html`<${Frame} title=${title} nav=${nav}><div class=${`page client ${wide ? "page-wide" : ""}`}>${children}</div><//>`;
}
