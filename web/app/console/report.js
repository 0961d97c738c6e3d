/** What became of the counsellings of a span of days: in all, and by psychologist. */
import { useState } from "preact/hooks";
import { identity } from "../identity.js";
import { go, query } from "../router.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { download } from "../ui/download.js";
import { Field } from "../ui/field.js";
import { html } from "../ui/html.js";
import { Empty, Failed, Skeleton, useLoad } from "../ui/load.js";
import { isoDay, ownZone } from "../ui/time.js";
import { attempt } from "../ui/toasts.js";
import { duration, hours, number } from "./figures.js";
import { api } from "./pages.js";
import { Screen } from "./screen.js";

const MINUTE_MS = 60_000;

/** What `booked` is the sum of, with the tone of its bar. @type {[string, string, (report: any) => number][]} */
const PARTS = [
  ["held", "1", (one) => one.held],
  ["clientAbsent", "3", (one) => one.noShows.clientAbsent],
  ["psychologistAbsent", "5", (one) => one.noShows.psychologistAbsent],
  ["nobodyCame", "2", (one) => one.noShows.nobodyCame],
  ["missed", "bad", (one) => one.missed],
  ["byClient", "soft", (one) => one.cancelled.byClient],
  ["byPsychologist", "soft", (one) => one.cancelled.byPsychologist],
  ["byAdministrator", "soft", (one) => one.cancelled.byAdministrator],
  ["byUnknown", "soft", (one) => one.cancelled.byUnknown],
  ["underWay", "6", (one) => one.underWay],
  ["ahead", "4", (one) => one.ahead],
];

/** The days that are asked for: without any, this month until its end. */
function chosenDays() {
  const today = isoDay(identity.value?.rdchat.clock.now() ?? 0);
  const [year, month] = today.split("-").map(Number);
  const last = new Date(Date.UTC(year, month, 0)).getUTCDate();
  return { from: query.value.from || `${today.slice(0, 8)}01`, to: query.value.to || `${today.slice(0, 8)}${last}` };
}

export function Report() {
  const days = chosenDays();
  const asked = { ...days, timezone: ownZone };
  const { data, error, reload } = useLoad((signal) => api().get("/reports/organization", { query: asked, signal }), [days.from, days.to]);
  const wrong = error?.code === "VALIDATION_FAILED" ? error.errors : {};
  const isRefused = wrong.from !== undefined || wrong.to !== undefined;
  const shown = data?.booked > 0 ? html`<${Numbers} report=${data} />` : html`<${Empty} icon="chart"><p>${t("console.report.none")}</p><//>`;
  return html`
    <${Screen} title=${t("console.report")} hint=${t("console.report.hint", { zone: ownZone })} actions=${!error && html`<${Button} icon="down" onPress=${() => attempt(() => save(asked))}>${t("console.report.csv")}<//>`}>
      <${Days} key=${`${days.from} ${days.to}`} days=${days} wrong=${wrong} />
      ${error && !isRefused && html`<${Failed} error=${error} onRetry=${reload} />`}
      ${!error && (data === undefined ? html`<${Skeleton} rows=${5} />` : shown)}
    <//>
  `;
}

/** @param {Record<string, string>} asked */
async function save(asked) {
  const file = await api().getFile("/reports/organization", { query: { ...asked, format: "csv" } });
  download(file, `report-${asked.from}-${asked.to}.csv`);
}

/** @param {{days: {from: string, to: string}, wrong: Record<string, string[]>}} props */
function Days({ days, wrong }) {
  const [chosen, setChosen] = useState(days);
  const set = (/** @type {"from" | "to"} */ name) => (/** @type {any} */ event) => setChosen({ ...chosen, [name]: event.target.value });
  const apply = (/** @type {Event} */ event) => {
    event.preventDefault();
    go(`/report?${new URLSearchParams(chosen)}`);
  };
  return html`
    <form class="filters" onSubmit=${apply} aria-label=${t("console.report.days")}>
      <${Field} label=${t("console.from")} type="date" required value=${chosen.from} onInput=${set("from")} wrong=${wrong.from && t("console.day.wrong")} />
      <${Field} label=${t("console.to")} type="date" required value=${chosen.to} onInput=${set("to")} wrong=${wrong.to && t("console.span.wrong")} />
      <div class="row filters-do"><${Button} kind="primary" type="submit">${t("console.report.show")}<//></div>
    </form>
  `;
}

/** @param {number} part @param {number} all */
const share = (part, all) => `${number((100 * part) / all)} %`;

/** @param {{report: any}} props */
function Numbers({ report }) {
  const parts = PARTS.map(([name, tone, count]) => ({ name, tone, n: count(report) }));
  const all = report.booked;
  const cancelled = report.cancelled.byClient + report.cancelled.byPsychologist + report.cancelled.byAdministrator + report.cancelled.byUnknown;
  const noShows = report.noShows.clientAbsent + report.noShows.psychologistAbsent + report.noShows.nobodyCame;
  const wait = report.medianWaitMinutes === null ? "–" : duration(Math.round(report.medianWaitMinutes) * MINUTE_MS);
  /** @type {[string, string][]} */
  const heads = [["booked", number(all)], ["held", number(report.held)], ["noShows", number(noShows)], ["cancelled", number(cancelled)], ["wait", wait], ["time", hours(report.minutes)]];
  return html`
    <ul class="counts">${heads.map(([name, value]) => html`<li key=${name} class="card" data-report=${name}><span class="soft small">${t(`report.${name}`)}</span><strong class="numbers">${value}</strong></li>`)}</ul>
    <div class="columns report-columns">
      <section class="card stack" aria-labelledby="became">
        <h2 id="became">${t("console.report.became")}</h2>
        <${Bar} parts=${parts} of=${all} />
        <table class="table numbers">
          <thead><tr><th scope="col">${t("console.report.part")}</th><th scope="col" class="end">${t("console.report.count")}</th><th scope="col" class="end">${t("console.report.share")}</th></tr></thead>
          <tbody>
            ${parts.filter((one) => one.n > 0).map((one) => html`<tr key=${one.name}><th scope="row"><span class="key" data-tone=${one.tone} aria-hidden="true"></span>${t(`report.${one.name}`)}</th><td class="end">${number(one.n)}</td><td class="end">${share(one.n, all)}</td></tr>`)}
          </tbody>
        </table>
        ${report.presumed > 0 && html`<p class="small soft">${t("console.report.presumed", { n: number(report.presumed) })}</p>`}
      </section>
      <${Load} psychologists=${report.psychologists} />
    </div>
  `;
}

/** What parts there are of a whole, side by side. The same stands beside it in words. @param {{parts: {name: string, tone: string, n: number}[], of: number}} props */
const Bar = ({ parts, of }) => html`
  <div class="bar" aria-hidden="true">${parts.filter((one) => one.n > 0).map((one) => html`<span key=${one.name} data-tone=${one.tone} title=${t(`report.${one.name}`)} style=${`width: ${(100 * one.n) / of}%`}></span>`)}</div>
`;

/** @param {{psychologists: any[]}} props */
function Load({ psychologists }) {
  const most = Math.max(...psychologists.map((one) => one.booked), 1);
  return html`
    <section class="card stack" aria-labelledby="load">
      <h2 id="load">${t("console.report.load")}</h2>
      <div class="table-scroll" tabindex="0" role="group" aria-label=${t("console.report.load")}>
        <table class="table numbers load">
          <thead><tr>${["psychologist", "booked", "held", "noShows", "cancelled", "time"].map((one, index) => html`<th key=${one} scope="col" class=${index > 0 ? "end" : ""}>${one === "psychologist" ? t("console.psychologist") : t(`report.${one}`)}</th>`)}</tr></thead>
          <tbody>
            ${psychologists.map((one) => html`
              <tr key=${one.psychologist.id}>
                <th scope="row">${one.psychologist.fullName}<${Bar} of=${most} parts=${PARTS.map(([name, tone, count]) => ({ name, tone, n: count(one) }))} /></th>
                <td class="end">${number(one.booked)}</td>
                <td class="end">${number(one.held)}</td>
                <td class="end">${number(one.noShows.clientAbsent + one.noShows.psychologistAbsent + one.noShows.nobodyCame)}</td>
                <td class="end">${number(one.cancelled.byClient + one.cancelled.byPsychologist + one.cancelled.byAdministrator + one.cancelled.byUnknown)}</td>
                <td class="end nowrap">${hours(one.minutes)}</td>
              </tr>
            `)}
          </tbody>
        </table>
      </div>
    </section>
  `;
}
