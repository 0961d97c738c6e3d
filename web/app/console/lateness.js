/** How late the automations of the last hour were: a plot, and the same as a table. */
import { t } from "../texts.js";
import { html } from "../ui/html.js";
import { clockTime } from "../ui/time.js";
import { duration, number } from "./figures.js";
import { Plot } from "./plot.js";

const HOUR_S = 3_600;

/** @param {{minutes: {minute: string, count: number, p50: number, p99: number, max: number}[], now: number}} props */
export function Lateness({ minutes, now }) {
  const all = minutes.reduce((sum, one) => sum + one.count, 0);
  const worst = minutes.reduce((most, one) => Math.max(most, one.max), 0);
  if (all === 0) return html`<p class="soft">${t("console.lateness.none")}</p>`;
  const until = Math.ceil(now / 60_000) * 60;
  const series = [
    { label: t("console.lateness.max"), values: minutes.map((one) => one.max), colour: "--warn", dash: [4, 4] },
    { label: t("console.lateness.p99"), values: minutes.map((one) => one.p99), colour: "--tone-4" },
    { label: t("console.lateness.p50"), values: minutes.map((one) => one.p50), colour: "--accent" },
  ];
  return html`
    <p class="soft small">${t("console.lateness.all", { n: number(all), worst: duration(worst) })}</p>
    <${Plot} times=${minutes.map((one) => Date.parse(one.minute) / 1000)} span=${[until - HOUR_S, until]} series=${series} write=${duration} />
    <details class="small">
      <summary>${t("console.lateness.table")}</summary>
      <div class="table-scroll" tabindex="0" role="group" aria-label=${t("console.lateness")}>
        <table class="table numbers">
          <thead><tr>
            <th scope="col">${t("console.minute")}</th><th scope="col">${t("console.lateness.count")}</th>
            <th scope="col">${t("console.lateness.p50")}</th><th scope="col">${t("console.lateness.p99")}</th><th scope="col">${t("console.lateness.max")}</th>
          </tr></thead>
          <tbody>
            ${[...minutes].reverse().map((one) => html`
              <tr key=${one.minute}><th scope="row">${clockTime(one.minute)}</th><td>${number(one.count)}</td><td>${duration(one.p50)}</td><td>${duration(one.p99)}</td><td>${duration(one.max)}</td></tr>
            `)}
          </tbody>
        </table>
      </div>
    </details>
  `;
}
