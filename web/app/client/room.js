/** The client's page: what is ahead, booking, one counselling, what one was told, and the chat. */
import { useState } from "preact/hooks";
import { Link, parts } from "../router.js";
import { addStyle } from "../style.js";
import { t } from "../texts.js";
import { html } from "../ui/html.js";
import { Empty } from "../ui/load.js";
import { Loaded, prepare } from "../ui/loaded.js";
import { ClientFrame } from "./client_frame.js";
import { Home } from "./home.js";
import { unreadNews } from "./live.js";
import "./texts.js";

await Promise.all([addStyle(new URL("../chat/chat.css", import.meta.url).href), addStyle(new URL("client.css", import.meta.url).href)]);

/** What is not shown at first comes when it is wanted, or when there is time for it. */
const booking = () => import("./booking.js").then((module) => module.Booking);
const chat = () => import("./chat_screen.js").then((module) => module.ChatScreen);
const counseling = () => import("./counseling.js").then((module) => module.Counseling);
const move = () => import("./move.js").then((module) => module.Move);
const news = () => import("./news.js").then((module) => module.News);
prepare([chat, booking, counseling, news, move]);

export function Room() {
  // Once a person: what is unread of one is not for the next.
  useState(() => void (unreadNews.value = 0));
  const [first, second, third] = parts.value;
  if (first === undefined) return html`<${Home} />`;
  if (first === "chat" && second) return html`<${Loaded} key=${second} load=${chat} sessionId=${second} />`;
  if (first === "book" && !second) return html`<${Loaded} key="book" load=${booking} />`;
  if (first === "counselings" && second && third === "move") return html`<${Loaded} key=${`move ${second}`} load=${move} id=${second} />`;
  if (first === "counselings" && second && !third) return html`<${Loaded} key=${second} load=${counseling} id=${second} />`;
  if (first === "news" && !second) return html`<${Loaded} key="news" load=${news} />`;
  return html`
    <${ClientFrame} title=${t("app.notFound")}>
      <h1>${t("app.notFound")}</h1>
      <${Empty} icon="file"><${Link} to="/" class="button">${t("app.toStart")}<//><//>
    <//>
  `;
}
