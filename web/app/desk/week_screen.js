/** The week: a column for each day with its counsellings where their hours are; on a small screen, day after day. */
import { identity } from "../identity.js";
import { Link, query } from "../router.js";
import { t } from "../texts.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";
import { Failed, Skeleton, useLoad } from "../ui/load.js";
import { clockTime, isoDay, ownZone, shortDate, span } from "../ui/time.js";
import { useWidth } from "../ui/width.js";
import { CounselingRow } from "./counseling_row.js";
import { inLanes } from "./lanes.js";
import { listCounselings } from "./counselings.js";
import { DeskFrame } from "./desk_frame.js";
import { dayWords, shortDay } from "../ui/day_names.js";
import { addDays, mondayOf } from "../ui/days.js";
import { DayOrWeek, useNews } from "./today_screen.js";

/** @typedef {import("./counselings.js").Counseling} Counseling */

const GRID_PX = 900;
const HOUR_PX = 52;
const NARROW_FROM = 3;
/** Minutes. */
const SHORTEST = 30;
/** Always shown, however little there is. */
const FIRST_HOUR = 8;
const LAST_HOUR = 17;

export function WeekScreen() {
  const clock = /** @type {any} */ (identity.value?.rdchat.clock);
  const today = isoDay(clock.now());
  const monday = mondayOf(/^\d{4}-\d\d-\d\d$/.test(query.value.from ?? "") ? query.value.from : today);
  const days = Array.from({ length: 7 }, (_, n) => addDays(monday, n));
  const isGrid = useWidth() >= GRID_PX;
  const { data, error, reload } = useLoad((signal) => listCounselings(monday, days[6], signal), [monday]);
  useNews(reload);
  const of = (/** @type {string} */ day) => data?.filter((one) => isoDay(one.scheduledAt) === day) ?? [];
  const noon = (/** @type {string} */ day) => `${day}T12:00:00Z`;
  return html`
    <${DeskFrame} title=${t("today.week")}>
      <div class="page page-wide">
        <div class="row-between">
          <div><h1>${t("today.week")}</h1><p class="small soft">${shortDate(noon(monday), "UTC")} – ${shortDate(noon(days[6]), "UTC")} · ${ownZone.replace(/_/g, " ")}</p></div>
          <div class="row">
            <${Link} class="button icon" aria-label=${t("week.before")} title=${t("week.before")} to=${`/week?from=${addDays(monday, -7)}`}><${Icon} name="left" /><//>
            ${monday !== mondayOf(today) && html`<${Link} class="button" to="/week">${t("week.this")}<//>`}
            <${Link} class="button icon" aria-label=${t("week.after")} title=${t("week.after")} to=${`/week?from=${addDays(monday, 7)}`}><${Icon} name="right" /><//>
            <${DayOrWeek} />
          </div>
        </div>
        ${data === undefined && !error && html`<${Skeleton} />`}
        ${error && html`<${Failed} error=${error} onRetry=${reload} />`}
        ${data !== undefined && (isGrid ? html`<${Grid} days=${days} of=${of} today=${today} /><${Cancelled} counselings=${data.filter((one) => one.status === "cancelled")} />` : html`<${Agenda} days=${days} of=${of} today=${today} />`)}
      </div>
    <//>
  `;
}

/** @param {{days: string[], of: (day: string) => Counseling[], today: string}} props */
const Agenda = ({ days, of, today }) => html`
  <div class="stack">
    ${days.map(
      (day) => html`
        <section key=${day} class="stack-s">
          <h2 class=${day === today ? "week-today" : ""}>${dayWords(day)}${day === today && html` <span class="mark">${t("app.today")}</span>`}</h2>
          ${of(day).length === 0 ? html`<p class="small soft">${t("week.none")}</p>` : html`<ul class="card list">${of(day).map((one) => html`<li key=${one.id}><${CounselingRow} counseling=${one} /></li>`)}</ul>`}
        </section>
      `,
    )}
  </div>
`;

/** What will not take place has no place among the hours. @param {{counselings: Counseling[]}} props */
const Cancelled = ({ counselings }) =>
  counselings.length > 0 &&
  html`
    <details class="week-cancelled">
      <summary>${t("week.cancelled", { n: counselings.length })}</summary>
      <ul class="card list">${counselings.map((one) => html`<li key=${one.id}><${CounselingRow} counseling=${one} hasDay /></li>`)}</ul>
    </details>
  `;

/** Minutes since midnight in the reader's zone. @param {string} instant */
function minutes(instant) {
  const [hours, rest] = clockTime(instant).split(/[.:]/).map(Number);
  return hours * 60 + rest;
}

/** From when to when it goes, in minutes of its day; no shorter than what can be read. @param {Counseling} one */
function timed(one) {
  const start = minutes(one.scheduledAt);
  const long = Math.max(SHORTEST, (Date.parse(one.endsAt) - Date.parse(one.scheduledAt)) / 60_000);
  return { one, start, end: Math.min(24 * 60, start + long) };
}

/** @param {{days: string[], of: (day: string) => Counseling[], today: string}} props */
function Grid({ days, of, today }) {
  const placed = days.map((day) => inLanes(of(day).filter((one) => one.status !== "cancelled").map(timed)));
  const all = placed.flat().map(({ item }) => item);
  const first = Math.min(FIRST_HOUR, ...all.map(({ start }) => Math.floor(start / 60)));
  const last = Math.max(LAST_HOUR, ...all.map(({ end }) => Math.ceil(end / 60)));
  const hours = Array.from({ length: last - first }, (_, n) => first + n);
  const px = (/** @type {number} */ ofMinutes) => (ofMinutes / 60) * HOUR_PX;
  return html`
    <div class="week">
      <div class="week-hours" aria-hidden="true">${hours.map((hour) => html`<span key=${hour} style=${{ height: `${HOUR_PX}px` }}>${String(hour).padStart(2, "0")}</span>`)}</div>
      ${days.map(
        (day, n) => html`
          <section key=${day} class=${`week-day ${day === today ? "today" : ""}`} aria-label=${dayWords(day)}>
            <h2>${shortDay(day)}${day === today && html`<span class="hidden-visually"> (${t("app.today")})</span>`}</h2>
            <ul style=${{ height: `${hours.length * HOUR_PX}px`, backgroundSize: `100% ${HOUR_PX}px` }}>
              ${placed[n].map(({ item: { one, start, end }, lane, lanes: most }) => {
                const place = { top: `${px(start - first * 60)}px`, height: `${px(end - start) - 2}px`, insetInlineStart: `${(100 / most) * lane}%`, width: `${100 / most}%` };
                return html`
                  <li key=${one.id} style=${place}>
                    <${Link} to=${`/counselings/${one.id}`} class=${`week-one ${one.status} ${most >= NARROW_FROM ? "narrow" : ""}`} title=${`${span(one.scheduledAt, one.endsAt)} ${one.client.fullName}, ${t(`status.${one.status}`)}`}>
                      <span class="numbers">${clockTime(one.scheduledAt)}</span> <strong dir="auto">${one.client.fullName}</strong><span class="hidden-visually">, ${t(`status.${one.status}`)}</span>
                    <//>
                  </li>
                `;
              })}
            </ul>
          </section>
        `,
      )}
    </div>
  `;
}
