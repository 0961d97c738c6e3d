/** A session's automations: when each was planned, when it ran, and how late that was. */
import { identity } from "../identity.js";
import { t } from "../texts.js";
import { html } from "../ui/html.js";
import { duration, moment } from "./figures.js";
import { reasonText } from "./status.js";

/** @type {Record<string, string>} */
const TONES = { done: "good", skipped: "warn", failed: "bad" };

/** @param {{automations: any[]}} props */
export function Automations({ automations }) {
  const now = identity.value?.rdchat.clock.now() ?? 0;
  return html`
    <section class="card stack" aria-labelledby="automations">
      <h2 id="automations">${t("console.automations")}</h2>
      <div class="table-scroll" tabindex="0" role="group" aria-label=${t("console.automations")}>
        <table class="table numbers">
          <thead><tr>${["kind", "state", "planned", "ran", "late"].map((one) => html`<th key=${one} scope="col">${t(`console.automation.${one}`)}</th>`)}</tr></thead>
          <tbody>
            ${automations.map((one) => html`
              <tr key=${one.kind} data-automation=${one.kind}>
                <th scope="row" class="nowrap">${t(`trigger.${one.kind}`)}</th>
                <td><span class=${`mark ${TONES[one.status] ?? ""}`}>${t(`automation.${one.status}`)}</span>${one.reason && html`<br /><span class="tiny soft">${reasonText(one.status === "failed" ? one.reason.split(":", 1)[0] : one.reason)}</span>`}</td>
                <td class="nowrap">${moment(one.dueAt, now)}</td>
                <td class="nowrap">${one.executedAt === null ? "–" : moment(one.executedAt, now)}</td>
                <td class="nowrap">${one.latenessMs === null ? "–" : duration(one.latenessMs)}</td>
              </tr>
            `)}
          </tbody>
        </table>
      </div>
    </section>
  `;
}
