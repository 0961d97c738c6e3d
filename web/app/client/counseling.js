/** One counselling of a client: when, with whom, how it stands, and what can be done about it. */
import { useEffect, useState } from "preact/hooks";
import { identity } from "../identity.js";
import { Link } from "../router.js";
import { hasText, t } from "../texts.js";
import { Avatar, calledName } from "../ui/avatar.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";
import { Failed, Skeleton, useLoad } from "../ui/load.js";
import { clockTime, dayName, left, longDate, ownZone, span, useNow } from "../ui/time.js";
import { AddToCalendar } from "./calendar.js";
import { CancelDialog } from "./cancel_dialog.js";
import { ClientFrame } from "./client_frame.js";
import { chatOf, deadlineOf, statusOf, waitingFrom, whenOf, zoneName } from "./counselings.js";
import { api, countNews, useLive, useOverdue } from "./live.js";

const RECENT = 100;

/**
 * Load a counselling, and what belongs to it. Without the latter it is shown all the same.
 *
 * @param {string} id
 * @param {AbortSignal} signal
 */
async function load(id, signal) {
  const counseling = await api().get(`/counselings/${id}`, { signal });
  const sessionId = counseling.chatSession?.sessionId;
  const orNull = (/** @type {string} */ path, query = {}) => api().get(path, { query, signal }).catch(() => null);
  const [psychologist, session, told] = await Promise.all([
    orNull(`/psychologists/${counseling.psychologist.id}`),
    counseling.status === "cancelled" && sessionId ? orNull(`/chat/sessions/${sessionId}`) : null,
    orNull("/notifications", { limit: RECENT }),
  ]);
  const news = (told?.data ?? []).filter((/** @type {any} */ one) => one.data.counselingId === id);
  return { counseling, theirZone: psychologist?.timezone ?? ownZone, endReason: session?.endReason ?? null, news };
}

/** What was told of it is read once it is on the screen. @param {any[] | undefined} news */
function useReading(news) {
  useEffect(() => {
    const unread = (news ?? []).filter((one) => !one.isRead);
    if (unread.length === 0) return;
    void Promise.all(unread.map((one) => api().put(`/notifications/${one.id}/read`))).then(countNews, () => {});
  }, [news]);
}

/** @param {{id: string}} props */
export function Counseling({ id }) {
  const { data, error, isLoading, reload } = useLoad((signal) => load(id, signal), [id]);
  useLive(reload, (told) => told.data?.counselingId === id);
  useReading(data?.news);
  return html`
    <${ClientFrame} title=${t("client.session")}>
      <p class="way-back"><${Link} to="/" class="back small"><${Icon} name="back" />${t("client.sessions")}<//></p>
      ${data === undefined
        ? html`<h1>${t("client.session")}</h1>${error && !isLoading ? html`<${Failed} error=${error} onRetry=${reload} />` : html`<${Skeleton} />`}`
        : html`<${Details} ...${data} reload=${reload} />`}
    <//>
  `;
}

/** @param {any} props */
function Details({ counseling, theirZone, endReason, news, reload }) {
  const now = useNow(/** @type {any} */ (identity.value).rdchat.clock, 1000);
  const { psychologist } = counseling;
  const starts = Date.parse(counseling.scheduledAt);
  const isPending = counseling.status === "pending";
  useOverdue((isPending && now > starts) || (counseling.status === "active" && now > Date.parse(counseling.endsAt)), reload);
  const chat = chatOf(counseling, now);
  const isHandedOver = isPending && news.some((/** @type {any} */ one) => one.type === "counseling_reassigned");
  const name = calledName(psychologist.fullName);
  return html`
    <h1>${longDate(starts)}, ${clockTime(starts)}</h1>
    ${isHandedOver && html`<p class="notice row" role="status"><${Icon} name="swap" /><span class="grow">${t("client.handed", { name: psychologist.fullName })}</span></p>`}
    ${counseling.status === "cancelled" && html`<${WhyCancelled} counseling=${counseling} endReason=${endReason} />`}
    <section class="card stack" data-counseling=${counseling.id} data-status=${counseling.status}>
      <div class="row session-head">
        <${Avatar} person=${psychologist} />
        <div class="grow"><p class="next-name" dir="auto">${psychologist.fullName}</p><p class="small soft">${t("client.psychologist")}</p></div>
        <span class=${`mark ${counseling.status === "cancelled" ? "bad" : counseling.status === "active" ? "good" : ""}`}>${statusOf(counseling)}</span>
      </div>
      <dl class="facts">
        <dt>${t("client.when")}</dt>
        <dd>
          <span>${whenOf(counseling, now)}</span>
          <span class="small soft">${t("client.zone", { zone: zoneName(ownZone) })}</span>
          ${differs(theirZone, starts) && html`<span class="small soft">${t("client.theirZone", { name, when: `${dayName(starts, now, theirZone)}, ${span(starts, counseling.endsAt, theirZone)}`, zone: zoneName(theirZone) })}</span>`}
        </dd>
        <dt>${t("client.method")}</dt>
        <dd>${t(`method.${counseling.method}`)}</dd>
        <dt>${t("client.notes")}</dt>
        <dd>${counseling.notes ? html`<span class="notes" dir="auto">${counseling.notes}</span><span class="tiny soft">${t("client.notes.hint")}</span>` : html`<span class="soft">${t("client.notes.none")}</span>`}</dd>
      </dl>
      ${isPending && html`<p class="small soft">${now < starts ? html`${t("client.begins")} <strong class="numbers" role="timer" aria-live="off">${left(starts - now)}</strong>` : t("client.any")}</p>`}
      <div class="row">
        ${chat && html`<${Link} to=${chat.to} class="button primary">${chat.words}<//>`}
        ${counseling.status === "completed" && counseling.chatSession && html`<${Link} to=${`/chat/${counseling.chatSession.sessionId}`} class="button primary">${t("client.transcript")}<//>`}
        ${!chat && !isPending && counseling.status !== "active" && html`<${Link} to=${`/book?with=${psychologist.id}`} class="button">${t("client.again")}<//>`}
        ${isPending && html`<${AddToCalendar} ics=${counseling.ics} />`}
      </div>
      ${isPending && counseling.chatSession && !chat && html`<p class="small soft">${t("client.waitFrom", { time: `${clockTime(waitingFrom(counseling))}` })}</p>`}
    </section>
    ${isPending && html`<${Change} counseling=${counseling} now=${now} reload=${reload} />`}
    ${news.length > 0 &&
    html`<section class="stack-s">
      <h2>${t("client.news.of")}</h2>
      <ul class="card list rows">
        ${news.map((/** @type {any} */ one) => html`<li key=${one.id} class="told" data-notification=${one.type}><span dir="auto">${one.message}</span><span class="tiny soft">${dayName(one.createdAt, now)}, ${clockTime(one.createdAt)}</span></li>`)}
      </ul>
    </section>`}
  `;
}

/** Whether clocks there show something else at an instant. @param {string} other @param {number} at */
const differs = (other, at) => longDate(at, other) !== longDate(at) || clockTime(at, other) !== clockTime(at);

/** @param {{counseling: any, endReason: string | null}} props */
function WhyCancelled({ counseling, endReason }) {
  const key = `ended.${endReason ?? "cancelled"}`;
  return html`
    <div class="card stack-s cancelled">
      <p><strong>${t(hasText(key) ? key : "ended.cancelled", { name: counseling.psychologist.fullName })}</strong></p>
      ${counseling.cancelReason && html`<p dir="auto">${t("client.reason")}: ${counseling.cancelReason}</p>`}
    </div>
  `;
}

/** @param {{counseling: any, now: number, reload: () => Promise<void>}} props */
function Change({ counseling, now, reload }) {
  const [isAsking, setAsking] = useState(false);
  const { until, words } = deadlineOf(counseling);
  return html`
    <section class="stack-s">
      <h2>${t("client.change")}</h2>
      <p class="small soft">${words(now)}</p>
      ${now <= until &&
      html`<div class="row">
        <${Link} to=${`/counselings/${counseling.id}/move`} class="button">${t("client.move")}<//>
        <${Button} kind="danger" onPress=${() => setAsking(true)}>${t("client.cancel")}<//>
      </div>`}
    </section>
    ${isAsking && html`<${CancelDialog} counseling=${counseling} now=${now} onClose=${() => setAsking(false)} onDone=${reload} />`}
  `;
}
