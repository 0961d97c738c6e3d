/** A chat as a whole, in each of its states: waiting, open, ending, closed. For the client and at the desk. */
import { useEffect, useId, useReducer, useRef, useState } from "preact/hooks";
import { identity } from "../identity.js";
import { t } from "../texts.js";
import { Avatar, calledName } from "../ui/avatar.js";
import { Button } from "../ui/button.js";
import { confirm } from "../ui/dialog.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";
import { attempt } from "../ui/toasts.js";
import { clockTime, dayName, left, ownZone, span, useNow } from "../ui/time.js";
import { Composer } from "./composer.js";
import { MessageList } from "./message_list.js";
import { saveTranscript, showTranscript } from "./transcript.js";
import { watch } from "./use_chat.js";
import "./texts.js";

/** @typedef {import("../../client/chat.js").Chat} Chat */

/** To connect for the first time may take so long: until then nothing is wrong. */
const CONNECTING_MS = 3_000;

/**
 * @param {object} props
 * @param {Chat} props.chat
 * @param {boolean} [props.isCurrent] whether it is in front of the reader
 * @param {any} [props.tools] further buttons beside the composer
 * @param {any} [props.actions] further buttons in the head
 * @param {any} [props.before] in the head, before the name
 * @param {any} [props.handle] see Composer
 * @param {string} [props.heading] the level of the heading: h1 where the chat is the screen
 */
export function ChatView({ chat, isCurrent = true, tools, actions, before, handle, heading = "h1" }) {
  watch(chat);
  const rdchat = identity.value?.rdchat;
  useEffect(() => {
    if (isCurrent) rdchat?.show(chat);
  }, [chat, isCurrent]);
  // At a desk another chat may be in front by then.
  const inFront = useRef(isCurrent);
  inFront.current = isCurrent;
  useEffect(() => () => void (inFront.current && rdchat?.show(null)), [chat]);
  const isPending = chat.session.status === "pending";
  return html`
    <section class="chat" aria-label=${chat.other?.fullName ?? ""}>
      <${Head} chat=${chat} actions=${actions} before=${before} heading=${heading} />
      <${Connection} chat=${chat} />
      ${chat.session.status === "ending_soon" && html`<${Ending} chat=${chat} />`}
      ${isPending && html`<${WaitingRoom} chat=${chat} />`}
      <${MessageList} key=${chat.id} chat=${chat} isCurrent=${isCurrent} />
      <p class="typing" aria-hidden="true">${chat.typing.size > 0 && t("chat.typing", { name: calledName(chat.other?.fullName ?? "") })}</p>
      <div class="composer-area">
        ${chat.isOver ? html`<${Over} chat=${chat} />` : chat.isOpen ? html`<${Composer} key=${chat.id} chat=${chat} handle=${handle} tools=${tools} />` : html`<${NotOpen} chat=${chat} />`}
      </div>
    </section>
  `;
}

/** @param {any} props */
function Head({ chat, actions, before, heading }) {
  watch(chat);
  const { other, session } = chat;
  const isHere = chat.present.has(other.id);
  const line = chat.isOver || chat.state !== "live" ? "" : t(isHere ? "chat.here" : "chat.notHere", { name: calledName(other.fullName) });
  return html`
    <header class="chat-head">
      ${before}
      <${Avatar} person=${other} here=${isHere} />
      <div class="grow">
        <${heading} class="ellipsis" dir="auto">${other.fullName}<//>
        <p class="ellipsis">${[line, !chat.isOver && span(session.scheduledAt, session.endsAt)].filter(Boolean).join(" · ")}</p>
      </div>
      ${actions}
    </header>
  `;
}

/** Says only what is not as it should be. @param {{chat: Chat}} props */
function Connection({ chat }) {
  watch(chat);
  const isDurable = identity.value?.rdchat.storage.isDurable ?? true;
  const wasLive = useRef(false);
  wasLive.current ||= chat.state === "live";
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), CONNECTING_MS);
    return () => clearTimeout(timer);
  }, []);
  const shown = ["offline", "catching-up"].includes(chat.state) && (wasLive.current || isLate);
  return html`
    <div role="status" data-chat-state=${chat.state}>
      ${shown && html`<p class="chat-state"><${Icon} name=${chat.state === "offline" ? "offline" : "reload"} />${t(`chat.${chat.state}`)}</p>`}
      ${!isDurable && chat.isOpen && html`<p class="chat-state"><${Icon} name="warning" />${t("chat.memory")}</p>`}
    </div>
  `;
}

/** @param {{chat: Chat}} props */
function Ending({ chat }) {
  watch(chat);
  const clock = /** @type {any} */ (identity.value?.rdchat.clock);
  useNow(clock);
  const end = async () => {
    if (await confirm({ title: t("chat.end.ask"), text: t("chat.end.text"), verb: t("chat.end"), danger: true })) await attempt(() => chat.end());
  };
  return html`
    <div class="ending">
      <span>
        <span role="status" class="hidden-visually">${t("chat.soon")}</span>
        <strong>${t("chat.untilEnd", { left: left(chat.endsIn) })}</strong>
      </span>
      <${Button} icon="end" onPress=${end}>${t("chat.end")}<//>
    </div>
  `;
}

/** @param {{chat: Chat}} props */
function WaitingRoom({ chat }) {
  watch(chat);
  const clock = /** @type {any} */ (identity.value?.rdchat.clock);
  const now = useNow(clock);
  const { scheduledAt, endsAt } = chat.session;
  const minutes = Math.ceil(chat.opensIn / 60_000);
  return html`
    <div class="waiting-room">
      <h2>${t("wait.title")}</h2>
      ${chat.opensIn > 0
        ? html`<p class="soft">${t("wait.opens")}</p><p class="countdown" role="timer" aria-live="off">${left(chat.opensIn)}</p>`
        : html`<p class="countdown" role="status">${t("wait.any")}</p>`}
      <p class="hidden-visually" role="status">${[10, 5, 1].includes(minutes) && `${t("wait.opens")} ${left(minutes * 60_000)}`}</p>
      <p>${t("wait.when", { day: dayName(scheduledAt, now), span: span(scheduledAt, endsAt), zone: ownZone.replace(/_/g, " ") })}</p>
      <p class="small soft">${t("wait.text")}</p>
    </div>
  `;
}

/** @param {{chat: Chat}} props */
function NotOpen({ chat }) {
  watch(chat);
  return html`<p class="not-open"><${Icon} name="lock" /><span>${t("chat.notOpen", { time: clockTime(chat.session.scheduledAt) })}</span></p>`;
}

/** What was being written when it ended: to copy, or to do away with. @param {{chat: Chat}} props */
function Unfinished({ chat }) {
  watch(chat);
  const id = useId();
  const [, show] = useReducer((/** @type {number} */ times) => times + 1, 0);
  const drop = () => {
    chat.write("");
    show(0);
  };
  if (chat.draft === "") return null;
  return html`
    <div class="unfinished stack-s">
      <label for=${id}>${t("chat.unfinished")}</label>
      <textarea id=${id} class="input" dir="auto" rows="3" readonly value=${chat.draft} onFocus=${(/** @type {any} */ event) => event.target.select()}></textarea>
      <${Button} kind="quiet" onPress=${drop}>${t("chat.unfinished.drop")}<//>
    </div>
  `;
}

/** @param {{chat: Chat}} props */
function Over({ chat }) {
  watch(chat);
  const { status, endReason } = chat.session;
  const isCancelled = status === "cancelled";
  const reason = endReason && t(`chat.reason.${endReason}`);
  const unsent = chat.pending.length;
  return html`
    <div class="chat-over" role="status">
      <h2>${t(isCancelled ? "chat.cancelled" : "chat.closed")}</h2>
      ${isCancelled && endReason === "missed" && html`<p>${t("chat.missed")}</p>`}
      ${!isCancelled && html`<p class="small soft">${reason && !reason.startsWith("chat.") ? `${reason}. ` : ""}${t("chat.closed.text")}</p>`}
      ${unsent > 0 && html`<p class="notice">${t("chat.unsent", { n: unsent })}</p>`}
      ${chat.draft.trim() !== "" && html`<${Unfinished} chat=${chat} />`}
      ${!isCancelled &&
      html`<div class="row">
        <${Button} icon="file" onPress=${() => attempt(() => saveTranscript(chat.id))}>${t("chat.transcript")}<//>
        <${Button} kind="quiet" onPress=${() => attempt(() => showTranscript(chat.id))}>${t("chat.transcript.read")}<//>
      </div>`}
    </div>
  `;
}
