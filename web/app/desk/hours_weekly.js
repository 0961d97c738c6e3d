/** Hours of every week: several intervals a day, which can be copied to other days. */
import { useState } from "preact/hooks";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { html } from "../ui/html.js";
import { weekdayName } from "../ui/day_names.js";
import { nextInterval, wrongWith } from "./hours_model.js";

/** @typedef {import("./hours_model.js").Interval} Interval */

const ALL_DAYS = [1, 2, 3, 4, 5, 6, 7];
const WORKING_DAYS = [1, 2, 3, 4, 5];

/** @param {{days: Interval[][], none: string, isChecked: boolean, onChange: (days: Interval[][]) => void}} props `none`: what a day without hours means */
export function WeeklyHours({ days, none, isChecked, onChange }) {
  const [copied, setCopied] = useState(/** @type {number | null} */ (null));
  const set = (/** @type {number} */ at, /** @type {Interval[]} */ intervals) => onChange(days.map((one, n) => (n === at ? intervals : one)));
  return html`
    <section class="card stack">
      <h2>${t("hours.weekly")}</h2>
      <div class="weekly">
        ${days.map((intervals, n) => {
          const name = weekdayName(n + 1);
          return html`
            <div key=${n} class="weekly-day" role="group" aria-label=${name} data-weekday=${n + 1}>
              <h3>${name}</h3>
              <${Intervals} intervals=${intervals} none=${none} name=${name} isChecked=${isChecked} onChange=${(/** @type {Interval[]} */ next) => set(n, next)} />
              ${intervals.length > 0 ? html`<${Button} kind="quiet" icon="copy" label=${t("hours.copy", { day: name })} onPress=${() => setCopied(n)} />` : html`<span class="weekly-gap"></span>`}
            </div>
          `;
        })}
      </div>
      ${copied !== null &&
      html`<${CopyDialog}
        from=${copied + 1}
        onClose=${() => setCopied(null)}
        onCopy=${(/** @type {number[]} */ to) => {
          onChange(days.map((one, n) => (to.includes(n + 1) ? days[copied].map((interval) => ({ ...interval })) : one)));
          setCopied(null);
        }}
      />`}
    </section>
  `;
}

/** @param {{from: number, onClose: () => void, onCopy: (weekdays: number[]) => void}} props */
function CopyDialog({ from, onClose, onCopy }) {
  const [to, setTo] = useState(/** @type {number[]} */ ([]));
  const others = ALL_DAYS.filter((day) => day !== from);
  const toggle = (/** @type {number} */ day) => setTo(to.includes(day) ? to.filter((one) => one !== day) : [...to, day]);
  return html`
    <${Dialog} title=${t("hours.copy", { day: weekdayName(from) })} onClose=${onClose}>
      <p>${t("hours.copy.text")}</p>
      <div class="row">
        <${Button} onPress=${() => setTo(WORKING_DAYS.filter((day) => day !== from))}>${t("hours.copy.working")}<//>
        <${Button} onPress=${() => setTo(others)}>${t("hours.copy.all")}<//>
      </div>
      <fieldset class="field"><legend>${t("hours.copy.to")}</legend>
        ${others.map((day) => html`<label key=${day} class="choice"><input type="checkbox" checked=${to.includes(day)} onChange=${() => toggle(day)} />${weekdayName(day)}</label>`)}
      </fieldset>
      <div class="actions"><${Button} onPress=${onClose}>${t("app.cancel")}<//><${Button} kind="primary" disabled=${to.length === 0} onPress=${() => onCopy(to)}>${t("hours.copy.verb")}<//></div>
    <//>
  `;
}

/**
 * The hours of one day.
 *
 * @param {{intervals: Interval[], none: string, name: string, isChecked: boolean, onChange: (intervals: Interval[]) => void}} props
 */
export function Intervals({ intervals, none, name, isChecked, onChange }) {
  const set = (/** @type {number} */ at, /** @type {Partial<Interval>} */ part) => onChange(intervals.map((one, n) => (n === at ? { ...one, ...part } : one)));
  const problem = wrongWith(intervals);
  // Half-typed times are not complained of before saving; what overlaps is, at once.
  const wrong = problem !== "" && (isChecked || problem === "overlap") ? problem : "";
  return html`
    <div class="intervals">
      ${intervals.length === 0 && html`<p class="small soft intervals-none">${none}</p>`}
      ${intervals.map(
        (one, n) => html`
          <div key=${n} class="interval">
            <input class="input" type="time" aria-label=${t("hours.from", { day: name, n: n + 1 })} aria-invalid=${wrong ? "true" : undefined} value=${one.startTime} onInput=${(/** @type {any} */ event) => set(n, { startTime: event.target.value })} />
            <span aria-hidden="true">–</span>
            <input class="input" type="time" aria-label=${t("hours.to", { day: name, n: n + 1 })} aria-invalid=${wrong ? "true" : undefined} value=${one.endTime} onInput=${(/** @type {any} */ event) => set(n, { endTime: event.target.value })} />
            <${Button} kind="quiet" icon="close" label=${t("hours.remove", { day: name, n: n + 1 })} onPress=${() => onChange(intervals.filter((_, at) => at !== n))} />
          </div>
        `,
      )}
      ${wrong && html`<p class="small bad" role="alert">${t(`hours.wrong.${wrong}`)}</p>`}
      <${Button} kind="quiet" icon="plus" class="interval-add" data-action="add-interval" onPress=${() => onChange([...intervals, nextInterval(intervals)])}>${t("hours.add")}<//>
    </div>
  `;
}
