/** The psychologist's desk: today and the week, the chats, working hours, quick replies. See docs/design.md. */
import { useEffect, useState } from "preact/hooks";
import { ChatView } from "../chat/chat_view.js";
import { useChat } from "../chat/use_chat.js";
import { identity } from "../identity.js";
import { Link, parts, query } from "../router.js";
import { addStyle } from "../style.js";
import { t } from "../texts.js";
import { Frame } from "../ui/frame.js";
import { html } from "../ui/html.js";
import { Empty, Failed, Skeleton } from "../ui/load.js";
import { ChatsScreen } from "./chats_screen.js";
import { CounselingScreen } from "./counseling_screen.js";
import { DeskFrame } from "./desk_frame.js";
import { HoursScreen } from "./hours_screen.js";
import { Desk, LiveChats } from "./live_chats.js";
import { RepliesScreen } from "./replies_screen.js";
import { TodayScreen } from "./today_screen.js";
import { WeekScreen } from "./week_screen.js";
import "./texts.js";
import "./hours_texts.js";

await Promise.all([addStyle(new URL("../chat/chat.css", import.meta.url).href), addStyle(new URL("desk.css", import.meta.url).href)]);

/** In a frame of "See a session" there is the one chat, and nothing around it. */
const isEmbedded = "embedded" in query.peek();

export function Room() {
  const [first, second] = parts.value;
  if (isEmbedded && second) return html`<${EmbeddedChat} sessionId=${second} />`;
  return html`<${WholeDesk} first=${first} second=${second} />`;
}

/** @param {{first?: string, second?: string}} props the parts of the address */
function WholeDesk({ first, second }) {
  const [live] = useState(() => new LiveChats(/** @type {any} */ (identity.peek()).rdchat));
  useEffect(() => {
    live.start();
    return () => live.stop();
  }, [live]);
  return html`<${Desk.Provider} value=${live}>${screen(first, second)}<//>`;
}

/** @param {string | undefined} first @param {string | undefined} second */
function screen(first, second) {
  if (first === undefined) return html`<${TodayScreen} />`;
  if (first === "week") return html`<${WeekScreen} />`;
  if (first === "chats") return html`<${ChatsScreen} sessionId=${second ?? ""} />`;
  if (first === "counselings" && second) return html`<${CounselingScreen} key=${second} id=${second} />`;
  if (first === "hours") return html`<${HoursScreen} />`;
  if (first === "replies") return html`<${RepliesScreen} />`;
  return html`
    <${DeskFrame} title=${t("app.notFound")}>
      <div class="page"><h1>${t("app.notFound")}</h1><${Empty} icon="file"><${Link} to="/" class="button">${t("app.toStart")}<//><//></div>
    <//>
  `;
}

/** @param {{sessionId: string}} props */
function EmbeddedChat({ sessionId }) {
  const { chat, error, retry } = useChat(sessionId);
  return html`
    <${Frame} title=${t("desk.chats")} full>
      ${chat !== null && html`<${ChatView} chat=${chat} />`}
      ${chat === null && html`<div class="page">${error ? html`<${Failed} error=${error} onRetry=${retry} />` : html`<${Skeleton} />`}</div>`}
    <//>
  `;
}
