/** What differs on certain days: away, other hours, away for a part, further hours. */
import { identity } from "../identity.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { Field } from "../ui/field.js";
import { html } from "../ui/html.js";
import { isoDay } from "../ui/time.js";
import { newEntry, nextInterval, wrongWithEntry } from "./hours_model.js";
import { Intervals } from "./hours_weekly.js";
import { dayWords } from "../ui/day_names.js";

/** @typedef {import("./hours_model.js").Entry} Entry */
/** @typedef {import("./hours_model.js").Kind} Kind */

const KINDS = /** @type {Kind[]} */ (["away", "other", "part", "extra"]);

/** @param {{entries: Entry[], isChecked: boolean, onChange: (entries: Entry[]) => void}} props */
export function Exceptions({ entries, isChecked, onChange }) {
  const today = isoDay(/** @type {any} */ (identity.value?.rdchat).clock.now());
  const shown = entries.filter((one) => one.to === "" || one.to >= today);
  const add = () => onChange([...entries, newEntry({ from: "", to: "", kind: "away", intervals: [] })]);
  const set = (/** @type {Entry} */ next) => onChange(entries.map((one) => (one.key === next.key ? next : one)));
  return html`
    <section class="card stack">
      <div><h2>${t("exceptions.title")}</h2><p class="small soft">${t("exceptions.text")}</p></div>
      ${shown.length === 0 && html`<p class="small soft">${t("exceptions.none")}</p>`}
      ${shown.length > 0 && html`<ul class="exceptions">${shown.map((one) => html`<${Row} key=${one.key} entry=${one} today=${today} isChecked=${isChecked} onChange=${set} onRemove=${() => onChange(entries.filter((other) => other !== one))} />`)}</ul>`}
      <div><${Button} icon="plus" data-action="add-exception" onPress=${add}>${t("exceptions.add")}<//></div>
    </section>
  `;
}

/** @param {{entry: Entry, today: string, isChecked: boolean, onChange: (entry: Entry) => void, onRemove: () => void}} props */
function Row({ entry, today, isChecked, onChange, onRemove }) {
  const { from, to, kind, intervals } = entry;
  const problem = isChecked ? wrongWithEntry(entry) : "";
  const name = from === "" ? t("exceptions.new") : dayWords(from);
  const changeKind = (/** @type {Kind} */ next) => onChange({ ...entry, kind: next, to: next === "away" ? to || from : from, intervals: next === "away" || intervals.length > 0 ? intervals : [nextInterval([])] });
  const changeFrom = (/** @type {string} */ next) => onChange({ ...entry, from: next, to: kind === "away" && to > next ? to : next });
  return html`
    <li><div class="exception" role="group" aria-label=${name}>
      <div class="exception-fields">
        <${Field} label=${t("exceptions.kind")} as="select" onChange=${(/** @type {any} */ event) => changeKind(event.target.value)}>
          ${KINDS.map((one) => html`<option key=${one} value=${one} selected=${one === kind}>${t(`exceptions.${one}`)}</option>`)}
        <//>
        <${Field} label=${t(kind === "away" ? "exceptions.from" : "exceptions.day")} type="date" min=${from && from < today ? from : today} value=${from} wrong=${problem === "date" && from === "" && t("hours.wrong.date")} onInput=${(/** @type {any} */ event) => changeFrom(event.target.value)} />
        ${kind === "away" && html`<${Field} label=${t("exceptions.to")} type="date" min=${from || today} value=${to} wrong=${problem === "dates" && t("hours.wrong.dates")} onInput=${(/** @type {any} */ event) => onChange({ ...entry, to: event.target.value })} />`}
        <${Button} kind="quiet" icon="trash" label=${t("exceptions.remove", { day: name })} onPress=${onRemove} />
      </div>
      ${kind !== "away" && html`<${Intervals} intervals=${intervals} none=${t("hours.wrong.none")} name=${name} isChecked=${isChecked} onChange=${(/** @type {any} */ next) => onChange({ ...entry, intervals: next })} />`}
    </div></li>
  `;
}
