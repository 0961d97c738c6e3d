/**
 * The messages of a chat. However long it is, only a part around what is seen is in the page: it moves along.
 *
 * Longer than its neighbours: what is in the page and where the reader looks are one state.
 */
import { useEffect, useLayoutEffect, useReducer, useRef } from "preact/hooks";
import { identity } from "../identity.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { dayName, isoDay } from "../ui/time.js";
import { watch } from "./use_chat.js";
import { MessageItem, PendingItem } from "./message.js";

/** Messages in the page at once. */
const MOST = 160;
/** So many more at a time: few enough to be drawn between two pictures. */
const STEP = 24;
/** So near to an end of the part, it moves. */
const NEAR_PX = 800;
const AT_END_PX = 60;
/** Messages of one person within this time stand together. */
const TOGETHER_MS = 180_000;

/** @typedef {import("../../client/chat.js").Chat} Chat */

/** What is in the page, and where its reader looks. Kept beside the component: it changes with every scroll. */
class View {
  first = 0;
  last = 0;
  isAtEnd = true;
  isLoading = false;
  /** @type {number | null} the first message that was new when the reader came, or came while they looked elsewhere */
  divider = null;
  seen = 0;
  /** @type {{seq: number, top: number} | null} what must stay where it is */
  anchor = null;

  /** @param {Chat} chat @param {string} me */
  constructor(chat, me) {
    this.last = chat.completeTo;
    this.first = Math.max(oldest(chat), this.last - MOST + 1);
    this.seen = this.last;
    this.divider = chat.messages.find((one) => one.senderId !== me && !one.isRead)?.seq ?? null;
  }
}

/** @param {Chat} chat */
const oldest = (chat) => chat.messages[0]?.seq ?? 1;

/** The messages behind one. @param {Chat} chat @param {number} seq */
const after = (chat, seq) => chat.messages.slice(Math.max(0, seq - oldest(chat) + 1));

/**
 * @param {object} props
 * @param {Chat} props.chat
 * @param {boolean} props.isCurrent whether this chat is in front of the reader
 */
export function MessageList({ chat, isCurrent }) {
  watch(chat);
  const me = identity.value?.me.id ?? "";
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const kept = useRef(/** @type {View | null} */ (null));
  const [, show] = useReducer((/** @type {number} */ times) => times + 1, 0);
  const view = (kept.current ??= new View(chat, me));
  follow(view, chat, me);

  useLayoutEffect(() => {
    const list = box.current;
    if (list === null) return;
    if (view.anchor !== null) {
      const at = list.querySelector(`[data-seq="${view.anchor.seq}"]`);
      if (at !== null) list.scrollTop += at.getBoundingClientRect().top - view.anchor.top;
      view.anchor = null;
    } else if (view.isAtEnd) list.scrollTop = list.scrollHeight;
  });

  // A picture that has come, or a keyboard that has opened, must not take the reader from the end.
  useEffect(() => {
    const list = box.current;
    if (list === null) return undefined;
    const watch = new ResizeObserver(() => view.isAtEnd && view.last >= view.seen && (list.scrollTop = list.scrollHeight));
    watch.observe(list);
    for (const inside of list.children) watch.observe(inside);
    return () => watch.disconnect();
  }, [chat]);

  useEffect(() => {
    if (isCurrent && view.isAtEnd && document.visibilityState === "visible" && !chat.isOver) chat.markRead(chat.completeTo);
  });

  /** Move the part, and keep what is seen where it is. @param {number} first @param {number} last */
  const move = (first, last) => {
    if (first === view.first && last === view.last) return;
    view.anchor = topmost(box.current);
    view.first = first;
    view.last = last;
    show(0);
  };

  const older = async () => {
    if (view.first > oldest(chat)) {
      const first = Math.max(oldest(chat), view.first - STEP);
      move(first, Math.min(view.last, first + MOST - 1));
    } else if (chat.hasOlder && !view.isLoading) {
      view.isLoading = true;
      show(0);
      try {
        await chat.loadOlder();
      } catch {
        // Scrolling on tries again.
      }
      view.isLoading = false;
      const first = Math.max(oldest(chat), view.first - STEP);
      move(first, Math.min(view.last, first + MOST - 1));
      show(0);
    }
  };

  const onScroll = () => {
    const list = box.current;
    if (list === null) return;
    const below = list.scrollHeight - list.scrollTop - list.clientHeight;
    const wasAtEnd = view.isAtEnd;
    // Not what has come since: that is shown a moment later.
    view.isAtEnd = below < AT_END_PX && view.last >= view.seen;
    if (list.scrollTop < NEAR_PX) void older();
    else if (below < NEAR_PX && view.last < chat.completeTo) {
      const last = Math.min(chat.completeTo, view.last + STEP);
      move(Math.max(view.first, last - MOST + 1), last);
    }
    if (wasAtEnd !== view.isAtEnd) show(0);
  };

  const toEnd = () => {
    view.isAtEnd = true;
    view.last = chat.completeTo;
    view.first = Math.max(oldest(chat), view.last - MOST + 1);
    show(0);
  };

  // A short list may not be scrollable at all: what is older is then fetched until it is.
  useEffect(() => {
    const list = box.current;
    // One that is hidden has no height at all.
    if (list !== null && list.clientHeight > 0 && list.scrollHeight <= list.clientHeight && chat.hasOlder) void older();
  });

  const isWhole = view.last >= chat.completeTo;
  return html`
    <div class="messages-area">
      <div class="messages" ref=${box} tabindex="0" role="region" aria-label=${`${t("chat.messages")}: ${chat.other?.fullName ?? ""}`} onScroll=${onScroll}>
        <ol>
        ${chat.hasOlder && view.first <= oldest(chat) && html`<li class="date-line" key="top">${view.isLoading && t("chat.older")}</li>`}
        ${rows(chat, view, me)}
        ${isWhole && chat.pending.map((one) => html`<${PendingItem} key=${`pending ${one.id}`} chat=${chat} pending=${one} state=${`${one.state} ${one.progress}`} />`)}
        </ol>
      </div>
      ${!view.isAtEnd && html`<${Button} class="to-end round" icon="down" label=${t("chat.toEnd")} onPress=${toEnd} />`}
    </div>
    <${Announcer} chat=${chat} me=${me} />
  `;
}

/** Take in what has come since. @param {View} view @param {Chat} chat @param {string} me */
function follow(view, chat, me) {
  const newest = chat.completeTo;
  if (newest > view.seen) {
    const looksElsewhere = !view.isAtEnd || document.visibilityState === "hidden";
    const fresh = after(chat, view.seen);
    if (fresh.some((one) => one.senderId === me)) view.divider = null;
    else if (looksElsewhere && view.divider === null) view.divider = view.seen + 1;
    view.seen = newest;
  }
  if (view.isAtEnd) {
    view.last = newest;
    view.first = Math.max(oldest(chat), view.first, newest - MOST + 1);
  }
  view.first = Math.max(view.first, oldest(chat));
}

/** The first message that is seen, and where. @param {HTMLElement | null} list */
function topmost(list) {
  if (list === null) return null;
  const { top } = list.getBoundingClientRect();
  for (const item of list.querySelectorAll("[data-seq]")) {
    const place = item.getBoundingClientRect();
    if (place.bottom > top) return { seq: Number(/** @type {HTMLElement} */ (item).dataset.seq), top: place.top };
  }
  return null;
}

/** @param {Chat} chat @param {View} view @param {string} me */
function rows(chat, view, me) {
  const { messages } = chat;
  const found = [];
  const offset = oldest(chat);
  const otherRead = chat.other === null ? 0 : chat.readUpTo[chat.other.id] ?? 0;
  /** @type {any} */
  let before = messages[view.first - offset - 1];
  const now = Date.now();
  for (let at = view.first - offset; at <= view.last - offset && at < messages.length; at += 1) {
    const one = messages[at];
    if (before === undefined || isoDay(before.createdAt) !== isoDay(one.createdAt)) {
      found.push(html`<li class="date-line" key=${`day ${one.seq}`}>${dayName(one.createdAt, now)}</li>`);
    }
    if (one.seq === view.divider) found.push(html`<li class="divider" key="divider">${t("chat.new")}</li>`);
    const isFirst =
      before === undefined || before.senderId !== one.senderId || before.isAutomated || Date.parse(one.createdAt) - Date.parse(before.createdAt) > TOGETHER_MS;
    const next = messages[at + 1];
    const isLast = next === undefined || next.senderId !== one.senderId || next.isAutomated || Date.parse(next.createdAt) - Date.parse(one.createdAt) > TOGETHER_MS;
    found.push(html`
      <${MessageItem} key=${one.seq} message=${one} isMine=${one.senderId === me} isFirst=${isFirst} isLast=${isLast} isRead=${Boolean(one.isRead) || one.seq <= otherRead} />
    `);
    before = one;
  }
  return found;
}

/** Reads out what the other has written, once. @param {{chat: Chat, me: string}} props */
function Announcer({ chat, me }) {
  watch(chat);
  const said = useRef(chat.completeTo);
  const region = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    const fresh = after(chat, said.current).filter((one) => one.senderId !== me);
    said.current = Math.max(said.current, chat.completeTo);
    const place = region.current;
    if (fresh.length === 0 || place === null) return;
    for (const one of fresh.slice(-3)) {
      const line = document.createElement("p");
      line.textContent = t("chat.said", { name: one.sender.fullName, text: one.message || t("chat.file") });
      place.append(line);
    }
    while (place.childElementCount > 5) place.firstElementChild?.remove();
  });
  return html`<div class="hidden-visually" role="log" aria-live="polite" ref=${region}></div>`;
}
