/** The chats as a list: who is here, who waits and how long, what was said last. And, in short, as tabs. */
import { useEffect, useRef, useState } from "preact/hooks";
import { watch } from "../chat/use_chat.js";
import { identity } from "../identity.js";
import { Link } from "../router.js";
import { errorText, t } from "../texts.js";
import { Avatar, calledName } from "../ui/avatar.js";
import { Button } from "../ui/button.js";
import { Menu } from "../ui/frame.js";
import { html } from "../ui/html.js";
import { Empty, Skeleton, useLoad } from "../ui/load.js";
import { clockTime, left, shortDate, span, useNow } from "../ui/time.js";
import { canNotify, chooseNotices, chooseSound, hasNotices, hasSound } from "./alerts.js";
import { lastMessage, unreadCount, waitingSince } from "./attention.js";
import { useDesk } from "./live_chats.js";
import { length } from "./lengths.js";

/** @typedef {import("../../client/chat.js").Chat} Chat */

const EARLIER = 10;

/** @param {{current: string, isAlone: boolean, onKeys: () => void}} props `isAlone`: the list is the whole screen */
export function ChatList({ current, isAlone, onKeys }) {
  const live = useDesk();
  const chats = live.chats.value;
  const error = live.error.value;
  return html`
    <div class="desk-list">
      <div class="desk-list-head">
        <h1>${t("desk.chats")}</h1>
        <${AlertsMenu} />
        ${!isAlone && html`<${Button} kind="quiet" icon="keyboard" label=${t("desk.keys")} onPress=${onKeys} />`}
      </div>
      ${error !== null && html`<div class="notice" role="alert">${errorText(error)} <${Button} onPress=${live.look}>${t("app.retry")}<//></div>`}
      ${!live.isLoaded.value && chats.length === 0 && html`<div class="desk-list-wait"><${Skeleton} /></div>`}
      ${live.isLoaded.value && chats.length === 0 && error === null && html`<${Empty} icon="chat"><p>${t("desk.none")}</p><${Link} to="/" class="button">${t("desk.today.open")}<//><//>`}
      <ul aria-label=${t("desk.live")}>
        ${chats.map((chat, place) => html`<li key=${chat.id}><${ChatRow} chat=${chat} isCurrent=${chat.id === current} number=${place + 1} /></li>`)}
      </ul>
      <${Earlier} current=${current} />
    </div>
  `;
}

function AlertsMenu() {
  return html`
    <${Menu} label=${t("desk.alerts")} icon="bell">
      <label class="choice item"><input type="checkbox" checked=${hasSound.value} onChange=${(/** @type {any} */ event) => chooseSound(event.target.checked)} />${t("desk.sound")}</label>
      ${canNotify() && html`<label class="choice item"><input type="checkbox" checked=${hasNotices.value} onChange=${(/** @type {any} */ event) => chooseNotices(event.target.checked)} />${t("desk.notices")}</label>`}
      <p class="item tiny soft">${t("desk.alerts.text")}</p>
    <//>
  `;
}

/** @param {{chat: Chat, isCurrent: boolean, number: number}} props */
function ChatRow({ chat, isCurrent, number }) {
  watch(chat);
  const { client } = chat.session;
  const unread = isCurrent && document.visibilityState === "visible" ? 0 : unreadCount(chat);
  const isHere = chat.present.has(client.id);
  return html`
    <${Link} to=${`/chats/${chat.id}`} class=${`list-link chat-row ${isCurrent ? "chosen" : ""}`} data-row=${chat.id} aria-keyshortcuts=${number <= 5 ? `Alt+${number}` : undefined}>
      <${Avatar} person=${client} here=${isHere} />
      <span class="grow">
        <span class="chat-row-line"><strong class="ellipsis grow" dir="auto">${client.fullName}</strong>${unread > 0 && html`<span class="count"><span aria-hidden="true">${unread}</span><span class="hidden-visually">${t("desk.unread", { n: unread })}</span></span>`}</span>
        <span class="chat-row-line small soft"><${Preview} chat=${chat} /></span>
        <span class="chat-row-line"><${Standing} chat=${chat} />${isHere && html`<span class="mark good">${t("desk.here")}</span>`}</span>
      </span>
    <//>
  `;
}

/** @param {{chat: Chat}} props */
function Preview({ chat }) {
  watch(chat);
  if (chat.typing.size > 0) return html`<em class="ellipsis">${t("chat.typing", { name: calledName(chat.session.client.fullName) })}</em>`;
  const last = lastMessage(chat);
  if (last === undefined) return html`<span class="ellipsis">${t("desk.noMessages")}</span>`;
  const said = last.message || last.attachment?.fileName || t("chat.file");
  const isMine = last.senderId === identity.value?.me.id && !last.isAutomated;
  return html`<span class="ellipsis" dir="auto">${isMine ? t("desk.mine", { text: said }) : said}</span>`;
}

/** Where it stands, in one mark; what is most pressing. @param {{chat: Chat}} props */
function Standing({ chat }) {
  watch(chat);
  const now = useNow(/** @type {any} */ (identity.value?.rdchat.clock));
  const { status, scheduledAt, endsAt } = chat.session;
  const since = waitingSince(chat);
  if (status === "pending") return html`<span class="mark numbers">${chat.opensIn > 0 ? t("desk.opens", { left: left(chat.opensIn) }) : t("desk.opening")}</span>`;
  if (status === "completed") return html`<span class="mark">${t("desk.over")}</span>`;
  if (status === "cancelled") return html`<span class="mark bad">${t("desk.cancelled")}</span>`;
  return html`
    ${since !== null && html`<span class="mark warn numbers">${t("desk.waits", { length: length(now - since) })}</span>`}
    ${status === "ending_soon" && html`<span class="mark warn numbers">${t("desk.ends", { left: left(chat.endsIn) })}</span>`}
    ${status === "active" && since === null && html`<span class="mark good numbers" title=${span(scheduledAt, endsAt)}>${t("desk.until", { time: clockTime(endsAt) })}</span>`}
  `;
}

/** What is over, latest first; opened when it is chosen. @param {{current: string}} props */
function Earlier({ current }) {
  const live = useDesk();
  const api = /** @type {import("../../client/api.js").Api} */ (identity.value?.api);
  const [limit, setLimit] = useState(EARLIER);
  const over = live.chats.value.filter((chat) => chat.isOver).map((chat) => chat.id).join();
  const { data } = useLoad((signal) => api.get("/chat/sessions", { query: { status: "completed", order: "activity", limit }, signal }), [limit, over]);
  const shown = data?.data.filter((/** @type {any} */ one) => !live.chats.value.some((chat) => chat.id === one.id)) ?? [];
  if (shown.length === 0) return null;
  return html`
    <h2 class="desk-list-part">${t("desk.earlier")}</h2>
    <ul aria-label=${t("desk.earlier")}>
      ${shown.map(
        (/** @type {any} */ one) => html`
          <li key=${one.id}>
            <${Link} to=${`/chats/${one.id}`} class=${`list-link chat-row ${one.id === current ? "chosen" : ""}`}>
              <${Avatar} person=${one.client} small />
              <span class="grow"><span class="ellipsis chat-row-line" dir="auto">${one.client.fullName}</span><span class="tiny soft">${shortDate(one.scheduledAt)}, ${clockTime(one.scheduledAt)}</span></span>
            <//>
          </li>
        `,
      )}
    </ul>
    ${data.nextCursor && limit < 100 && html`<div class="desk-list-more"><${Button} kind="quiet" icon="down" onPress=${() => setLimit(Math.min(100, limit + 20))}>${t("desk.more")}<//></div>`}
  `;
}

/**
 * The same chats in one line, where not all of them are on the screen.
 *
 * @param {{chats: Chat[], current: string, shown: Set<string>, onChoose: (id: string) => void}} props
 */
export const ChatTabs = ({ chats, current, shown, onChoose }) => html`
  <nav class="desk-tabs" aria-label=${t("desk.tabs")}>
    ${chats.map((chat, place) => html`<${Tab} key=${chat.id} chat=${chat} isCurrent=${chat.id === current} isShown=${shown.has(chat.id)} number=${place + 1} onChoose=${onChoose} />`)}
  </nav>
`;

/** @param {{chat: Chat, isCurrent: boolean, isShown: boolean, number: number, onChoose: (id: string) => void}} props */
function Tab({ chat, isCurrent, isShown, number, onChoose }) {
  watch(chat);
  const button = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (isCurrent) button.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [isCurrent]);
  const unread = isCurrent ? 0 : unreadCount(chat);
  const { client } = chat.session;
  return html`
    <button ref=${button} class=${isShown ? "shown" : ""} aria-current=${isCurrent ? "true" : undefined} title=${client.fullName} onClick=${() => onChoose(chat.id)}>
      <span class="soft numbers" aria-hidden="true">${number <= 5 ? number : ""}</span>
      <span class="ellipsis" dir="auto">${client.fullName}</span>
      ${unread > 0 && html`<span class="count"><span aria-hidden="true">${unread}</span><span class="hidden-visually">${t("desk.unread", { n: unread })}</span></span>`}
    </button>
  `;
}
