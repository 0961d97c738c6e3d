/** Today: what is next, what is today, what is tomorrow. */
import { useEffect } from "preact/hooks";
import { identity } from "../identity.js";
import { Link } from "../router.js";
import { t } from "../texts.js";
import { Avatar } from "../ui/avatar.js";
import { html } from "../ui/html.js";
import { Empty, Failed, Skeleton, useLoad } from "../ui/load.js";
import { isoDay, left, longDate, ownZone, span, useNow } from "../ui/time.js";
import { CounselingRow } from "./counseling_row.js";
import { addDays } from "../ui/days.js";
import { listCounselings } from "./counselings.js";
import { DeskFrame } from "./desk_frame.js";
import { useDesk } from "./live_chats.js";

/** @typedef {import("./counselings.js").Counseling} Counseling */

export const DayOrWeek = () => html`
  <nav class="tabs" aria-label=${t("today.views")}><${Link} to="/">${t("app.today")}<//><${Link} to="/week" section="/week">${t("today.week")}<//></nav>
`;

/** Whatever happens to one's counsellings, the service says so; the list is then fetched again. @param {() => unknown} reload */
export function useNews(reload) {
  useEffect(() => {
    const rdchat = identity.peek()?.rdchat;
    rdchat?.addEventListener("notification", reload);
    return () => rdchat?.removeEventListener("notification", reload);
  }, [reload]);
}

export function TodayScreen() {
  const clock = /** @type {any} */ (identity.value?.rdchat.clock);
  const today = isoDay(useNow(clock, 30_000));
  const tomorrow = addDays(today, 1);
  const { data, error, reload } = useLoad((signal) => listCounselings(today, tomorrow, signal), [today]);
  useNews(reload);
  const of = (/** @type {string} */ day) => data?.filter((one) => isoDay(one.scheduledAt) === day) ?? [];
  return html`
    <${DeskFrame} title=${t("desk.today")}>
      <div class="page">
        <div class="row-between"><div><h1>${t("desk.today")}</h1><p class="small soft">${longDate(clock.now())} · ${ownZone.replace(/_/g, " ")}</p></div><${DayOrWeek} /></div>
        ${data === undefined && (error ? html`<${Failed} error=${error} onRetry=${reload} />` : html`<${Skeleton} />`)}
        ${data !== undefined && error && html`<${Failed} error=${error} onRetry=${reload} />`}
        ${data !== undefined &&
        html`
          <${Now} counselings=${data} />
          <${Day} name=${t("app.today")} counselings=${of(today)} none=${t("today.none")} />
          <${Day} name=${t("app.tomorrow")} counselings=${of(tomorrow)} none=${t("tomorrow.none")} />
        `}
      </div>
    <//>
  `;
}

/** @param {{name: string, counselings: Counseling[], none: string}} props */
const Day = ({ name, counselings, none }) => html`
  <section class="stack-s">
    <h2>${name}</h2>
    ${counselings.length === 0 ? html`<div class="card"><${Empty} icon="calendar"><p>${none}</p><//></div>` : html`<ul class="card list">${counselings.map((one) => html`<li key=${one.id}><${CounselingRow} counseling=${one} /></li>`)}</ul>`}
  </section>
`;

/** What goes on, or else what comes next. @param {{counselings: Counseling[]}} props */
function Now({ counselings }) {
  const clock = /** @type {any} */ (identity.value?.rdchat.clock);
  const now = useNow(clock);
  const live = useDesk();
  const open = live.chats.value.filter((chat) => chat.isOpen);
  const next = counselings.find((one) => one.status === "pending" && Date.parse(one.endsAt) > now);
  if (open.length > 0) {
    return html`
      <section class="card stack-s now" aria-label=${t("today.now")}>
        <h2>${t("today.open", { n: open.length })}</h2>
        <ul class="row">${open.map((chat) => html`<li key=${chat.id}><${Link} class="button" to=${`/chats/${chat.id}`}><${Avatar} person=${chat.session.client} small /><span class="ellipsis now-name" dir="auto">${chat.session.client.fullName}</span><//></li>`)}</ul>
      </section>
    `;
  }
  if (next === undefined) return null;
  const ms = Date.parse(next.scheduledAt) - now;
  return html`
    <section class="card stack-s now" aria-label=${t("today.next")}>
      <p class="small soft">${t("today.next")}</p>
      <div class="row-between">
        <div class="row grow"><${Avatar} person=${next.client} /><div class="grow"><h2 class="ellipsis" dir="auto">${next.client.fullName}</h2><p class="small soft">${span(next.scheduledAt, next.endsAt)} · ${t(`method.${next.method}`)}</p></div></div>
        <p class="now-left numbers">${ms > 0 ? t("today.in", { left: left(ms) }) : t("wait.any")}</p>
      </div>
      <div class="row">
        ${next.chatSession !== null && html`<${Link} class="button primary" to=${`/chats/${next.chatSession.sessionId}`}>${t("today.toChat")}<//>`}
        <${Link} class="button quiet" to=${`/counselings/${next.id}`}>${t("today.toCounseling")}<//>
      </div>
    </section>
  `;
}
