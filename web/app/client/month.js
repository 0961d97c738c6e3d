/** A month at a glance: a grid of days, by pointer and by keyboard. */
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { dayWords, monthName, weekdayNames } from "../ui/day_names.js";
import { addDays, addMonths, lastDay, monthOf, sameDay, weekday, weeksOf } from "../ui/days.js";

/** How far a key leads from a day. @type {Record<string, (day: string) => string>} */
const KEYS = {
  ArrowLeft: (day) => addDays(day, -1),
  ArrowRight: (day) => addDays(day, 1),
  ArrowUp: (day) => addDays(day, -7),
  ArrowDown: (day) => addDays(day, 7),
  Home: (day) => addDays(day, -weekday(day)),
  End: (day) => addDays(day, 6 - weekday(day)),
  PageUp: (day) => sameDay(day, -1),
  PageDown: (day) => sameDay(day, 1),
};

/**
 * @param {object} props
 * @param {string} props.month
 * @param {string} props.today days before it are over
 * @param {string} props.latest the last day that can be booked
 * @param {string | null} props.chosen a day
 * @param {Map<string, number>} props.counts how many times each day has; none are left out
 * @param {boolean} props.isLoading
 * @param {(month: string) => void} props.onMonth
 * @param {(day: string) => void} props.onChoose
 */
export function Month({ month, today, latest, chosen, counts, isLoading, onMonth, onChoose }) {
  const grid = useRef(/** @type {HTMLElement | null} */ (null));
  const [focused, setFocused] = useState(/** @type {string | null} */ (null));
  const mustFocus = useRef(false);
  const within = (/** @type {string | null} */ day) => day !== null && monthOf(day) === month;
  const firstFree = [...counts.keys()].sort().find((day) => within(day));
  const start = monthOf(today) === month ? today : `${month}-01`;
  const current = /** @type {string} */ (within(focused) ? focused : within(chosen) ? chosen : (firstFree ?? start));
  useEffect(() => {
    if (!mustFocus.current) return;
    mustFocus.current = false;
    /** @type {HTMLElement | null | undefined} */ (grid.current?.querySelector("[tabindex='0']"))?.focus();
  }, [current, month]);
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const move = KEYS[event.key];
    if (move === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const wanted = move(current);
    const to = wanted < today ? today : wanted > latest ? latest : wanted;
    mustFocus.current = true;
    setFocused(to);
    if (monthOf(to) !== month) onMonth(monthOf(to));
  };
  const cell = (/** @type {string | null} */ day, /** @type {number} */ n) => {
    if (day === null) return html`<td key=${`empty ${n}`}></td>`;
    const count = counts.get(day) ?? 0;
    const label = count > 0 ? t("book.day", { day: dayWords(day), n: count }) : t("book.day.none", { day: dayWords(day) });
    const choose = () => {
      setFocused(day);
      if (count > 0) onChoose(day);
    };
    return html`
      <td key=${day} role="gridcell" aria-selected=${day === chosen}>
        <button
          type="button"
          class="day"
          data-day=${day}
          data-free=${count > 0 || undefined}
          aria-label=${label}
          aria-disabled=${count === 0 || undefined}
          aria-current=${day === today ? "date" : undefined}
          tabindex=${day === current ? 0 : -1}
          onClick=${choose}
        >${Number(day.slice(8))}</button>
      </td>
    `;
  };
  return html`
    <div class="month" aria-busy=${isLoading || undefined}>
      <div class="month-head">
        <${Button} kind="quiet" icon="left" label=${t("book.month.before")} disabled=${month <= monthOf(today)} onPress=${() => onMonth(addMonths(month, -1))} />
        <h2 aria-live="polite">${monthName(month)}</h2>
        <${Button} kind="quiet" icon="right" label=${t("book.month.next")} disabled=${lastDay(month) >= latest} onPress=${() => onMonth(addMonths(month, 1))} />
      </div>
      <table role="grid" ref=${grid} aria-label=${monthName(month)} aria-describedby="month-keys" onKeyDown=${onKeyDown}>
        <thead><tr>${weekdayNames().map((one) => html`<th key=${one.long} scope="col" abbr=${one.long}>${one.short}</th>`)}</tr></thead>
        <tbody>${weeksOf(month).map((week, n) => html`<tr key=${`${month} ${n}`}>${week.map(cell)}</tr>`)}</tbody>
      </table>
      <p id="month-keys" class="hidden-visually">${t("book.keys")}</p>
    </div>
  `;
}
