/** Beside a chat: who the client is, what they wrote when they booked, what can be done, and the notes about them. */
import { watch } from "../chat/use_chat.js";
import { identity } from "../identity.js";
import { Link } from "../router.js";
import { settings } from "../settings.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { confirm } from "../ui/dialog.js";
import { html } from "../ui/html.js";
import { useLoad } from "../ui/load.js";
import { clockTime, dayName, longDate, span } from "../ui/time.js";
import { attempt, say } from "../ui/toasts.js";
import { ClientNotes } from "./client_notes.js";

/** @typedef {import("../../client/chat.js").Chat} Chat */

/** By how many minutes a session is extended at once. */
const step = () => Math.round(settings.extensionStep / 60);

/** @param {{chat: Chat, isNamed?: boolean}} props `isNamed`: false where the name stands above already */
export function ClientPanel({ chat, isNamed = true }) {
  watch(chat);
  const { session } = chat;
  const { client } = session;
  const api = /** @type {import("../../client/api.js").Api} */ (identity.value?.api);
  const now = /** @type {any} */ (identity.value?.rdchat).clock.now();
  const { data } = useLoad((signal) => api.get(`/counselings/${session.counselingId}`, { signal }), [session.counselingId, session.status]);
  const known = useLoad((signal) => firstMeeting(api, client.id, signal), [client.id]).data;
  return html`
    <div class="panel">
      ${isNamed && html`<h2 dir="auto">${client.fullName}</h2>`}
      <dl class="facts small">
        <div><dt>${t("panel.when")}</dt><dd>${dayName(session.scheduledAt, now)}, ${span(session.scheduledAt, session.endsAt)}</dd></div>
        ${session.startedAt && html`<div><dt>${t("panel.opened")}</dt><dd>${clockTime(session.startedAt)}</dd></div>`}
        ${known && html`<div><dt>${t("panel.since")}</dt><dd>${known.count > 1 ? t("panel.since.value", { n: known.count, date: longDate(known.first) }) : t("panel.since.first")}</dd></div>`}
        ${data?.notes && html`<div class="panel-booking"><dt>${t("panel.booking")}</dt><dd dir="auto">${data.notes}</dd></div>`}
        ${data?.cancelReason && html`<div class="panel-booking"><dt>${t("counseling.reason")}</dt><dd dir="auto">${data.cancelReason}</dd></div>`}
      </dl>
      <div class="row panel-actions">
        ${chat.isOpen && html`<${Button} icon="plus" data-action="extend" onPress=${() => extend(chat)}>${t("panel.extend", { n: step() })}<//>`}
        <${Link} class="button quiet" to=${`/counselings/${session.counselingId}`}>${t(session.status === "pending" ? "panel.change" : "panel.counseling")}<//>
      </div>
      <${ClientNotes} key=${client.id} clientId=${client.id} />
    </div>
  `;
}

/** @param {Chat} chat */
async function extend(chat) {
  const minutes = step();
  const until = clockTime(Date.parse(chat.session.endsAt) + minutes * 60_000);
  const yes = await confirm({ title: t("panel.extend.ask", { n: minutes }), text: t("panel.extend.text", { time: until, name: chat.other?.fullName ?? "" }), verb: t("panel.extend", { n: minutes }) });
  if (!yes) return;
  await attempt(async () => {
    await chat.extend(minutes);
    say(t("panel.extended", { time: clockTime(chat.session.endsAt) }));
  });
}

/**
 * How often the two have met or are to meet, and since when.
 *
 * @param {import("../../client/api.js").Api} api
 * @param {string} clientId
 * @param {AbortSignal} signal
 * @returns {Promise<{first: string, count: number} | null>}
 */
async function firstMeeting(api, clientId, signal) {
  const all = [];
  for (let cursor; cursor !== null; ) {
    const page = await api.get("/counselings", { query: { clientId, limit: 100, cursor }, signal });
    all.push(...page.data);
    cursor = page.nextCursor;
  }
  const kept = all.filter((one) => one.status !== "cancelled");
  const oldest = kept[kept.length - 1];
  return oldest === undefined ? null : { first: oldest.scheduledAt, count: kept.length };
}
