/** The times of a day that can be booked, by the part of the day. */
import { t } from "../texts.js";
import { html } from "../ui/html.js";
import { clockTime, span } from "../ui/time.js";
import { dayWords } from "../ui/day_names.js";

/** The parts of a day, by when each begins. @type {[string, string][]} */
const PARTS = [
  ["night", "00:00"],
  ["morning", "05:00"],
  ["afternoon", "12:00"],
  ["evening", "18:00"],
];

/**
 * @typedef {object} Slot as `GET /slots` has it
 * @property {string} date
 * @property {string} startTime
 * @property {string} startsAt
 * @property {string} endsAt
 * @property {{id: string, fullName: string}[]} psychologists
 */

/** @param {Slot} slot */
const partOf = (slot) => PARTS.filter(([, begins]) => slot.startTime >= begins).pop()?.[0];

/**
 * @param {object} props
 * @param {string} props.day
 * @param {Slot[]} props.slots
 * @param {string} props.zone
 * @param {(slot: Slot) => any} props.onChoose
 * @param {{scheduledAt: string, endsAt: string}} [props.own] the counselling that is moved: to its own time it cannot be
 */
export function Times({ day, slots, zone, onChoose, own }) {
  const isOwn = (/** @type {Slot} */ slot) => slot.startsAt === own?.scheduledAt && slot.endsAt === own.endsAt;
  return html`
    <section class="times" aria-labelledby="times-of-day">
      <h2 id="times-of-day" tabindex="-1">${t("book.times", { day: dayWords(day) })}</h2>
      ${slots.length === 0 && html`<p class="soft" role="status">${t("book.times.none")}</p>`}
      ${PARTS.map(([part]) => {
        const here = slots.filter((slot) => partOf(slot) === part);
        if (here.length === 0) return null;
        return html`
          <section key=${part} class="stack-s" aria-labelledby=${`times-${part}`}>
            <h3 id=${`times-${part}`}>${t(`book.${part}`)}</h3>
            <ul class="time-list">
              ${here.map(
                (slot) => html`
                  <li key=${slot.startsAt}>
                    <button type="button" class="button time" data-starts-at=${slot.startsAt} disabled=${isOwn(slot)} aria-label=${isOwn(slot) ? undefined : span(slot.startsAt, slot.endsAt, zone)} onClick=${() => onChoose(slot)}>
                      ${clockTime(slot.startsAt, zone)}${isOwn(slot) && html` <span class="tiny">${t("move.own")}</span>`}
                    </button>
                  </li>
                `,
              )}
            </ul>
          </section>
        `;
      })}
    </section>
  `;
}
