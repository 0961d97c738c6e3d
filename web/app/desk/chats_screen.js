/**
 * The chats: a list, up to three side by side, the others one key away, and what is known of the client in front.
 *
 * A chat that was shown once stays in the page, hidden: its scroll, a chosen file and a recording are there again.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { identity } from "../identity.js";
import { keep, read } from "../preferences.js";
import { go, parts } from "../router.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { html } from "../ui/html.js";
import { Empty, Failed, Skeleton } from "../ui/load.js";
import { useWidth } from "../ui/width.js";
import { waitingSince } from "./attention.js";
import { ChatColumn } from "./chat_column.js";
import { ChatList, ChatTabs } from "./chat_list.js";
import { DeskFrame } from "./desk_frame.js";
import { KeysDialog, useDeskKeys } from "./keys.js";
import { useDesk } from "./live_chats.js";
import { ClientPanel } from "./client_panel.js";

/** @typedef {import("../../client/chat.js").Chat} Chat */

const TWO_COLUMNS_PX = 720;
const WIDE_PX = 1200;
const LIST_PX = 260;
const PANEL_PX = 300;
const COLUMN_PX = 380;
const MOST_COLUMNS = 3;

/** How many chats stand side by side. @param {number} width @param {boolean} hasPanel */
function columnsIn(width, hasPanel) {
  if (width < WIDE_PX) return 1;
  const rest = width - LIST_PX - (hasPanel ? PANEL_PX : 0);
  return Math.max(2, Math.min(MOST_COLUMNS, Math.floor(rest / COLUMN_PX)));
}

/** The chat to begin with: whose client waits longest, or else the first that is open. @param {Chat[]} chats */
function mostPressing(chats) {
  const since = (/** @type {Chat} */ chat) => waitingSince(chat) ?? Infinity;
  const [first] = [...chats].sort((one, other) => Number(other.isOpen) - Number(one.isOpen) || (since(one) < since(other) ? -1 : 0));
  return first?.id ?? "";
}

/**
 * Which chats are shown: the one in front, those that were there before it, then further open ones.
 *
 * @param {Chat[]} chats
 * @param {string} current
 * @param {number} most
 * @returns {{shown: Set<string>, met: Set<string>}} ids; `met`: of those that were shown at any time
 */
function useShown(chats, current, most) {
  const writable = useDesk().open.value.split(" ");
  const recent = useRef(/** @type {string[]} */ ([]));
  const met = useRef(/** @type {Set<string>} */ (new Set()));
  const exists = new Set(chats.map((chat) => chat.id));
  recent.current = [current, ...recent.current.filter((id) => id !== current)].filter((id) => exists.has(id));
  const open = writable.filter((id) => exists.has(id) && !recent.current.includes(id));
  const shown = new Set([...recent.current, ...open].slice(0, most));
  recent.current = [...recent.current, ...[...shown].filter((id) => !recent.current.includes(id))];
  for (const id of shown) met.current.add(id);
  return { shown, met: met.current };
}

/** @param {{sessionId: string}} props empty: none was chosen */
export function ChatsScreen({ sessionId }) {
  const live = useDesk();
  const chats = live.chats.value;
  const width = useWidth();
  const isSmall = width < TWO_COLUMNS_PX;
  const isWide = width >= WIDE_PX;
  const [isPanelWanted, setPanelWanted] = useState(read("desk-panel") !== "off");
  const [isDrawerOpen, setDrawerOpen] = useState(false);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const wanted = sessionId || (isSmall || !live.isLoaded.value ? "" : live.current.value || mostPressing(chats));
  const { shown, met } = useShown(chats, wanted, columnsIn(width, isPanelWanted));
  const front = chats.find((chat) => chat.id === wanted);

  useEffect(() => {
    live.current.value = wanted;
    setDrawerOpen(false);
  }, [wanted]);
  useEffect(() => {
    if (front === undefined) identity.peek()?.rdchat.show(null);
  }, [front]);
  // In front is what is on the screen, and on another screen nothing is.
  useEffect(() => () => void (live.current.value = ""), []);
  const fetchWanted = () => {
    setProblem(null);
    if (sessionId !== "") live.bring(sessionId).catch(setProblem);
  };
  useEffect(fetchWanted, [sessionId]);
  // Chosen from the list, one wants to write.
  useEffect(() => {
    if (front !== undefined && document.activeElement?.closest(".desk-list")) focusChat(front.id);
  }, [front, sessionId]);

  const choose = (/** @type {string} */ id) => {
    const chat = chats.find((one) => one.id === id);
    // At once, before anything is drawn: keys may be waiting already that were meant for this one.
    if (chat !== undefined) identity.peek()?.rdchat.show(chat);
    const focused = document.activeElement;
    const left = focused?.closest("[data-chat]") ?? null;
    if (left !== null && left !== columnOf(id) && focused instanceof HTMLElement) focused.blur();
    // Of the address as it is now: the screen may be a change behind.
    const now = parts.peek()[1] ?? "";
    if (id !== now) go(`/chats/${id}`, { replace: now !== "" });
    focusChat(id);
  };
  const keys = useDeskKeys(chats, wanted, choose);
  const togglePanel = () => {
    if (!isWide) return setDrawerOpen(!isDrawerOpen);
    keep("desk-panel", isPanelWanted ? "off" : "on");
    return setPanelWanted(!isPanelWanted);
  };

  const hasList = !isSmall || sessionId === "";
  const hasPanel = isWide && isPanelWanted && front !== undefined;
  const column = (/** @type {Chat} */ chat) => html`
    <${ChatColumn}
      key=${chat.id}
      chat=${chat}
      isCurrent=${chat.id === wanted}
      isShown=${shown.has(chat.id) && (front !== undefined || sessionId === "")}
      isAlone=${isSmall}
      hasPanel=${hasPanel}
      onFront=${() => chat.id !== wanted && go(`/chats/${chat.id}`, { replace: true })}
      onPanel=${togglePanel}
    />
  `;
  return html`
    <${DeskFrame} title=${t("desk.chats")} full bare=${!hasList}>
      <div class=${`desk ${hasList ? "" : "desk-alone"}`} data-columns=${shown.size}>
        ${hasList && html`<${ChatList} current=${wanted} onKeys=${keys.open} isAlone=${isSmall} />`}
        <div class="desk-middle" hidden=${isSmall && sessionId === ""}>
          ${chats.length > shown.size && html`<${ChatTabs} chats=${chats} current=${wanted} shown=${shown} onChoose=${choose} />`}
          <div class="desk-columns">
            ${chats.filter((chat) => met.has(chat.id)).map(column)}
            ${front === undefined && html`<${NoChat} problem=${problem} isAlone=${isSmall} isAsked=${sessionId !== ""} onRetry=${fetchWanted} />`}
          </div>
        </div>
        ${hasPanel && html`<aside class="desk-panel" aria-label=${t("desk.about")}><${ClientPanel} key=${front.id} chat=${front} /></aside>`}
        ${isDrawerOpen && front !== undefined && html`<${Dialog} title=${front.other?.fullName ?? ""} onClose=${() => setDrawerOpen(false)}><${ClientPanel} key=${front.id} chat=${front} isNamed=${false} /><//>`}
        ${keys.isOpen && html`<${KeysDialog} onClose=${keys.close} />`}
      </div>
    <//>
  `;
}

/** @param {string} id */
const columnOf = (id) => document.querySelector(`[data-chat="${id}"]`);

/** Put the cursor where one writes in a chat, once it is on the screen. @param {string} id */
function focusChat(id) {
  requestAnimationFrame(() => {
    const column = document.querySelector(`[data-chat="${id}"]:not([hidden])`);
    const place = column?.querySelector("textarea") ?? column?.querySelector("[role=region]");
    if (place instanceof HTMLElement && matchMedia("(pointer: fine)").matches) place.focus();
  });
}

/** @param {{problem: any, isAlone: boolean, isAsked: boolean, onRetry: () => void}} props `isAlone`: there is no list beside it */
function NoChat({ problem, isAlone, isAsked, onRetry }) {
  const live = useDesk();
  const head = isAlone && html`<div class="row"><${Button} kind="quiet" icon="back" label=${t("app.back")} onPress=${() => go("/chats")} /><h1>${t("desk.chats")}</h1></div>`;
  if (problem !== null) return html`<div class="page">${head}<${Failed} error=${problem} onRetry=${onRetry} /></div>`;
  if (isAsked || !live.isLoaded.value) return html`<div class="page">${head}<${Skeleton} /></div>`;
  if (live.chats.value.length === 0) return null;
  return html`<div class="page"><${Empty} icon="chat"><p>${t("desk.none.front")}</p><//></div>`;
}
