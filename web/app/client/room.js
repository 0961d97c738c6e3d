/** The client's page: what is ahead, booking, one counselling, what one was told, and the chat. */
import { useState } from "preact/hooks";
import { parts } from "../router.js";
import { addStyle } from "../style.js";
import { t } from "../texts.js";
import { html } from "../ui/html.js";
import { Empty } from "../ui/load.js";
import { Link } from "../router.js";
import { Booking } from "./booking.js";
import { ChatScreen } from "./chat_screen.js";
import { ClientFrame } from "./client_frame.js";
import { Counseling } from "./counseling.js";
import { Home } from "./home.js";
import { unreadNews } from "./live.js";
import { Move } from "./move.js";
import { News } from "./news.js";
import "./texts.js";

await Promise.all([addStyle(new URL("../chat/chat.css", import.meta.url).href), addStyle(new URL("client.css", import.meta.url).href)]);

export function Room() {
  // Once a person: what is unread of one is not for the next.
  useState(() => void (unreadNews.value = 0));
  const [first, second, third] = parts.value;
  if (first === undefined) return html`<${Home} />`;
  if (first === "chat" && second) return html`<${ChatScreen} key=${second} sessionId=${second} />`;
  if (first === "book" && !second) return html`<${Booking} />`;
  if (first === "counselings" && second && third === "move") return html`<${Move} key=${second} id=${second} />`;
  if (first === "counselings" && second && !third) return html`<${Counseling} key=${second} id=${second} />`;
  if (first === "news" && !second) return html`<${News} />`;
  return html`
    <${ClientFrame} title=${t("app.notFound")}>
      <h1>${t("app.notFound")}</h1>
      <${Empty} icon="file"><${Link} to="/" class="button">${t("app.toStart")}<//><//>
    <//>
  `;
}
