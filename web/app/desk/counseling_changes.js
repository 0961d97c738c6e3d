/** Moving a counselling, handing it over, cancelling it: each says who is told, before it is done. */
import { useState } from "preact/hooks";
import { identity } from "../identity.js";
import { t } from "../texts.js";
import { Avatar } from "../ui/avatar.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { Field } from "../ui/field.js";
import { html } from "../ui/html.js";
import { Failed, Skeleton, useLoad } from "../ui/load.js";
import { clockTime, isoDay, longDate, ownZone, span } from "../ui/time.js";
import { attempt, say } from "../ui/toasts.js";

/** @typedef {import("./counselings.js").Counseling} Counseling */
/** @typedef {{counseling: Counseling, onClose: () => void, onDone: (isGone: boolean) => void}} Props `isGone`: it is another's now */

const LONGEST_REASON = 500;
const api = () => /** @type {import("../../client/api.js").Api} */ (identity.value?.api);
const changed = (/** @type {Counseling} */ one, /** @type {string} */ how, /** @type {unknown} */ body) => api().put(`/counselings/${one.id}/${how}`, { body });

/** @param {Props} props */
export function CancelDialog({ counseling, onClose, onDone }) {
  const [reason, setReason] = useState("");
  const cancel = () =>
    attempt(async () => {
      await changed(counseling, "cancel", { reason: reason.trim() || null });
      say(t("cancel.done"));
      onDone(false);
    });
  return html`
    <${Dialog} title=${t("cancel.title")} onClose=${onClose}>
      <p>${t(counseling.status === "active" ? "cancel.text.open" : "cancel.text", { name: counseling.client.fullName, when: `${longDate(counseling.scheduledAt)}, ${span(counseling.scheduledAt, counseling.endsAt)}` })}</p>
      <${Field} label=${t("cancel.reason")} hint=${t("cancel.reason.hint", { name: counseling.client.fullName })} as="textarea" rows="3" dir="auto" maxlength=${LONGEST_REASON} value=${reason} onInput=${(/** @type {any} */ event) => setReason(event.target.value)} />
      <div class="actions"><${Button} onPress=${onClose}>${t("cancel.keep")}<//><${Button} kind="danger" onPress=${cancel}>${t("cancel.title.verb")}<//></div>
    <//>
  `;
}

/** @param {Props} props */
export function HandOverDialog({ counseling, onClose, onDone }) {
  const me = identity.value?.me.id;
  const [chosen, setChosen] = useState("");
  const { data, error, reload } = useLoad((signal) => listFree(counseling, signal), [counseling.id]);
  const others = data?.filter((one) => one.id !== me);
  const handOver = () =>
    attempt(async () => {
      await changed(counseling, "reassign", { psychologistId: chosen });
      say(t("handOver.done", { name: others?.find((one) => one.id === chosen)?.fullName ?? "" }));
      onDone(true);
    });
  return html`
    <${Dialog} title=${t("handOver.title")} onClose=${onClose}>
      <p>${t("handOver.text", { name: counseling.client.fullName })}</p>
      ${others === undefined && (error ? html`<${Failed} error=${error} onRetry=${reload} />` : html`<${Skeleton} rows=${2} />`)}
      ${others?.length === 0 && html`<p class="notice">${t("handOver.none")}</p>`}
      ${others !== undefined &&
      others.length > 0 &&
      html`<fieldset class="field"><legend>${t("handOver.to")}</legend>
        ${others.map((one) => html`<label key=${one.id} class="choice"><input type="radio" name="to" value=${one.id} checked=${chosen === one.id} onChange=${() => setChosen(one.id)} /><${Avatar} person=${one} small /><span class="grow" dir="auto">${one.fullName}</span></label>`)}
      </fieldset>`}
      <div class="actions"><${Button} onPress=${onClose}>${t("app.cancel")}<//>${others !== undefined && others.length > 0 && html`<${Button} kind="primary" disabled=${chosen === ""} onPress=${handOver}>${t("counseling.handOver")}<//>`}</div>
    <//>
  `;
}

/** Who works at a counselling's time and has room. @param {Counseling} counseling @param {AbortSignal} signal @returns {Promise<{id: string, fullName: string}[]>} */
async function listFree({ scheduledAt, endsAt }, signal) {
  const time = (/** @type {string} */ instant) => new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: ownZone }).format(new Date(instant));
  const found = [];
  for (let cursor; cursor !== null; ) {
    const query = { date: isoDay(scheduledAt), startTime: time(scheduledAt), endTime: time(endsAt), timezone: ownZone, limit: 100, cursor };
    const page = await api().get("/psychologists", { query, signal });
    found.push(...page.data);
    cursor = page.nextCursor;
  }
  return found;
}

/** @param {Props} props */
export function MoveDialog({ counseling, onClose, onDone }) {
  const me = identity.value?.me.id ?? "";
  const clock = /** @type {any} */ (identity.value?.rdchat.clock);
  const duration = Math.round((Date.parse(counseling.endsAt) - Date.parse(counseling.scheduledAt)) / 60_000);
  const [day, setDay] = useState(isoDay(Math.max(Date.parse(counseling.scheduledAt), clock.now())));
  const [chosen, setChosen] = useState("");
  const { data, error, reload } = useLoad(
    async (signal) => (day === "" ? [] : api().get(`/psychologists/${me}/slots`, { query: { date: day, duration: Math.max(1, duration), timezone: ownZone, except: counseling.id }, signal })),
    [day],
  );
  /** @type {{startsAt: string, endsAt: string}[] | undefined} */
  const slots = data && asSlots(data).filter((one) => one.startsAt !== counseling.scheduledAt);
  const slot = slots?.find((one) => one.startsAt === chosen);
  const move = () =>
    attempt(async () => {
      await changed(counseling, "reschedule", { startsAt: slot?.startsAt, endsAt: slot?.endsAt });
      say(t("move.done"));
      onDone(false);
    });
  return html`
    <${Dialog} title=${t("move.title")} onClose=${onClose}>
      <p>${t("move.text", { name: counseling.client.fullName, when: `${longDate(counseling.scheduledAt)}, ${span(counseling.scheduledAt, counseling.endsAt)}` })}</p>
      <${Field} label=${t("move.day")} type="date" min=${isoDay(clock.now())} value=${day} onInput=${(/** @type {any} */ event) => {
        setDay(event.target.value);
        setChosen("");
      }} />
      ${slots === undefined && (error ? html`<${Failed} error=${error} onRetry=${reload} />` : html`<${Skeleton} rows=${1} />`)}
      ${slots?.length === 0 && html`<p class="notice">${t("move.none")}</p>`}
      ${slots !== undefined &&
      slots.length > 0 &&
      html`<fieldset class="field"><legend>${t("move.time", { zone: ownZone.replace(/_/g, " ") })}</legend>
        <div class="slots">${slots.map((one) => html`<label key=${one.startsAt} class="slot"><input type="radio" name="slot" checked=${chosen === one.startsAt} onChange=${() => setChosen(one.startsAt)} /><span class="numbers">${clockTime(one.startsAt)}</span></label>`)}</div>
      </fieldset>`}
      <div class="actions"><${Button} onPress=${onClose}>${t("app.cancel")}<//><${Button} kind="primary" disabled=${slot === undefined} onPress=${move}>${slot ? t("move.verb.to", { time: clockTime(slot.startsAt) }) : t("move.verb")}<//></div>
    <//>
  `;
}

/** @param {any} answer @returns {{startsAt: string, endsAt: string}[]} */
const asSlots = (answer) => (Array.isArray(answer) ? answer : answer.slots ?? []);
