/** The frame of every screen of the desk: where one can go, and how much is unread, in the window's title too. */
import { watch } from "../chat/use_chat.js";
import { t } from "../texts.js";
import { Frame } from "../ui/frame.js";
import { html } from "../ui/html.js";
import { unreadCount } from "./attention.js";
import { useDesk } from "./live_chats.js";

/** All that is unread, of every chat. What is in front of the reader counts as read. */
function useUnread() {
  const live = useDesk();
  let unread = 0;
  for (const chat of live.chats.value) {
    watch(chat);
    if (chat.id !== live.current.value || document.visibilityState === "hidden") unread += unreadCount(chat);
  }
  return unread;
}

/** @param {{title: string, full?: boolean, bare?: boolean, children?: any}} props `bare`: without the ways to other screens */
export function DeskFrame({ title, full = false, bare = false, children }) {
  const unread = useUnread();
  const nav = [
    { to: "/", icon: "calendar", words: t("desk.today"), section: "/week" },
    { to: "/chats", icon: "chat", words: t("desk.chats"), section: "/chats", count: unread },
    { to: "/hours", icon: "clock", words: t("desk.hours") },
    { to: "/replies", icon: "list", words: t("desk.replies") },
  ];
  return html`<${Frame} title=${unread > 0 ? `(${unread}) ${title}` : title} full=${full} nav=${bare ? [] : nav}>${children}<//>`;
}
