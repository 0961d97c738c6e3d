/** Moving a counselling: the same way to choose a time, with the same psychologist. */
import { useEffect, useRef, useState } from "preact/hooks";
import { identity } from "../identity.js";
import { go, Link } from "../router.js";
import { t } from "../texts.js";
import { calledName } from "../ui/avatar.js";
import { confirm } from "../ui/dialog.js";
import { html } from "../ui/html.js";
import { Failed, Skeleton, useLoad } from "../ui/load.js";
import { attempt, say } from "../ui/toasts.js";
import { clockTime } from "../ui/time.js";
import "./booking_texts.js";
import { ClientFrame } from "./client_frame.js";
import { deadlineOf, inSentence, newKey, whenOf } from "./counselings.js";
import { api } from "./live.js";
import { Picker } from "./picker.js";
import { zone } from "./zones.js";

/** @typedef {import("./counselings.js").Counseling} Counseling */

/** @param {{id: string}} props */
export function Move({ id }) {
  const { data, error, isLoading, reload } = useLoad((signal) => api().get(`/counselings/${id}`, { signal }), [id]);
  const isWrong = data !== undefined && data.status !== "pending";
  useEffect(() => {
    if (isWrong) go(`/counselings/${id}`, { replace: true });
  }, [isWrong]);
  return html`
    <${ClientFrame} title=${t("move.title")} wide>
      ${data === undefined || isWrong
        ? html`<h1>${t("move.title")}</h1>${error && !isLoading ? html`<${Failed} error=${error} onRetry=${reload} />` : html`<${Skeleton} />`}`
        : html`<${Choose} counseling=${data} />`}
    <//>
  `;
}

/** @param {{counseling: Counseling}} props */
function Choose({ counseling }) {
  const now = /** @type {any} */ (identity.value).rdchat.clock.now();
  const name = calledName(counseling.psychologist.fullName);
  const length = Math.round((Date.parse(counseling.endsAt) - Date.parse(counseling.scheduledAt)) / 60_000);
  const [wish, setWish] = useState({ psychologistId: counseling.psychologist.id, length });
  const [taken, setTaken] = useState({ time: "", times: 0 });
  const attempted = useRef({ startsAt: "", endsAt: "", key: "" });
  const back = `/counselings/${counseling.id}`;
  const choose = async (/** @type {import("./times.js").Slot} */ slot) => {
    const when = inSentence(whenOf({ scheduledAt: slot.startsAt, endsAt: slot.endsAt }, now, zone.value));
    if (!(await confirm({ title: t("move.ask"), text: t("move.text", { when, name }), verb: t("client.move") }))) return;
    const { startsAt, endsAt } = slot;
    if (attempted.current.startsAt !== startsAt || attempted.current.endsAt !== endsAt) attempted.current = { startsAt, endsAt, key: newKey() };
    await attempt(async () => {
      try {
        await api().put(`${back}/reschedule`, { body: { startsAt, endsAt }, headers: { "Idempotency-Key": attempted.current.key } });
      } catch (error) {
        const refusal = /** @type {any} */ (error);
        if (!refusal.isTemporary) attempted.current = { startsAt: "", endsAt: "", key: "" };
        if (refusal.code !== "PSYCHOLOGIST_LIMIT" && refusal.code !== "NO_PSYCHOLOGIST") throw error;
        setTaken({ time: clockTime(startsAt, zone.value), times: taken.times + 1 });
        return;
      }
      say(t("move.done", { when }));
      go(back, { replace: true });
    });
  };
  return html`
    <div class="stack-s">
      <h1>${t("move.title")}</h1>
      <p>${t("move.from", { when: inSentence(whenOf(counseling, now, zone.value)), name: counseling.psychologist.fullName })}</p>
      <p class="small soft">${deadlineOf(counseling).words(now)}</p>
    </div>
    ${taken.time && html`<p class="notice" role="alert">${t("move.taken", { time: taken.time })}</p>`}
    <${Picker} key=${taken.times} wish=${wish} onWish=${setWish} onChoose=${choose} moved=${counseling} />
    <div><${Link} to=${back} class="button quiet">${t("app.cancel")}<//></div>
  `;
}
