/** Choosing a time: psychologist, length and zone above, the month, and the times of the chosen day beside it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { identity } from "../identity.js";
import { settings } from "../settings.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { Field, Segments } from "../ui/field.js";
import { html } from "../ui/html.js";
import { Failed, Skeleton, useLoad } from "../ui/load.js";
import { isoDay } from "../ui/time.js";
import { isAhead } from "./counselings.js";
import { monthName } from "../ui/day_names.js";
import { addMonths, lastDay, monthOf } from "../ui/days.js";
import { api } from "./live.js";
import { Month } from "./month.js";
import { Times } from "./times.js";
import { leaveUnknownZone, zone, ZoneChoice } from "./zones.js";

/** @typedef {import("./times.js").Slot} Slot */

const LENGTHS = [30, 45, 60, 90];
const HORIZON_SECONDS = 365 * 86_400;
const USUAL_LENGTH = 60;
const MOST = 100;

/** The lengths that the service allows, in minutes. @param {number} [own] one that is there already */
export function allowedLengths(own) {
  const { minSession = 0, maxSession = Infinity } = settings;
  const all = LENGTHS.filter((one) => 60 * one >= minSession && 60 * one <= maxSession);
  if (all.length === 0) all.push(Math.round(minSession / 60) || 1);
  return own === undefined || all.includes(own) ? all : [...all, own].sort((one, other) => one - other);
}

/** @param {number[]} lengths */
export const usualLength = (lengths) => (lengths.includes(USUAL_LENGTH) ? USUAL_LENGTH : lengths[lengths.length - 1]);

/** All psychologists, by name. @param {AbortSignal} signal @returns {Promise<{id: string, fullName: string, isActive: boolean}[]>} */
export async function loadPsychologists(signal) {
  const found = [];
  let cursor = null;
  do {
    /** @type {any} */
    const page = await api().get("/psychologists", { query: { limit: MOST, cursor }, signal });
    found.push(...page.data.filter((/** @type {any} */ one) => one.isActive));
    cursor = page.nextCursor;
  } while (cursor !== null);
  return found;
}

/** @param {Slot} slot @param {any} one */
const overlaps = (slot, one) => slot.startsAt < one.endsAt && one.scheduledAt < slot.endsAt;

/**
 * @typedef {object} Wish
 * @property {string} psychologistId "" for any
 * @property {number} length minutes
 */

/**
 * The times of a month, without those at which the client is somewhere else.
 *
 * @param {Wish} wish
 * @param {string} month
 * @param {string} today
 * @param {string | undefined} moved the id of a counselling whose own time counts as free
 * @param {AbortSignal} signal
 * @returns {Promise<{key: string, slots: Slot[]}>} `key`: what it is for, as `keyOf` says
 */
async function loadMonth(wish, month, today, moved, signal) {
  const key = keyOf(wish, month);
  const from = monthOf(today) === month ? today : `${month}-01`;
  const query = { from, to: lastDay(month), duration: wish.length, timezone: zone.value };
  const [slots, ...mine] = await Promise.all([
    api().get("/slots", { query, signal }),
    ...["pending", "active"].map((status) => api().get("/counselings", { query: { status, limit: MOST }, signal })),
  ]);
  const own = mine.flatMap((page) => page.data).filter((one) => isAhead(one) && one.id !== moved);
  const fitting = slots.filter((/** @type {Slot} */ slot) => {
    const fits = wish.psychologistId === "" || slot.psychologists.some((who) => who.id === wish.psychologistId);
    return fits && !own.some((one) => overlaps(slot, one));
  });
  return { key, slots: fitting };
}

/** @param {Wish} wish @param {string} month */
const keyOf = (wish, month) => [wish.psychologistId, wish.length, month, zone.value].join(" ");

/**
 * @param {object} props
 * @param {Wish} props.wish
 * @param {(wish: Wish) => void} props.onWish
 * @param {(slot: Slot) => any} props.onChoose
 * @param {{month: string, day: string | null}} [props.view] what was last shown; kept up to date, so that one comes back to it
 * @param {{id: string, fullName: string}[]} [props.psychologists] to choose from; without them there is no choice
 * @param {{id: string, scheduledAt: string, endsAt: string, psychologist: {id: string, fullName: string}}} [props.moved] a counselling that is to be moved
 */
export function Picker({ wish, onWish, onChoose, view, psychologists, moved }) {
  const clock = /** @type {any} */ (identity.value).rdchat.clock;
  const today = isoDay(clock.now(), zone.value);
  const latest = isoDay(clock.now() + 1000 * (settings.bookingHorizon ?? HORIZON_SECONDS), zone.value);
  const ownDay = moved && isoDay(moved.scheduledAt, zone.value);
  const [month, setMonth] = useState(view?.month || monthOf(ownDay && ownDay > today ? ownDay : today));
  const [day, setDay] = useState(view?.day ?? null);
  if (view) Object.assign(view, { month, day });
  const side = useRef(/** @type {HTMLElement | null} */ (null));
  const { data, error, isLoading, reload } = useLoad(
    (signal) => loadMonth(wish, month, today, moved?.id, signal),
    [wish.psychologistId, wish.length, month, zone.value, moved?.id],
  );
  useEffect(() => {
    if (error) leaveUnknownZone(error);
  }, [error]);
  const isCurrent = data?.key === keyOf(wish, month);
  const slots = isCurrent ? data.slots : [];
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const slot of slots) counts.set(slot.date, (counts.get(slot.date) ?? 0) + 1);
  if (ownDay && monthOf(ownDay) === month && !counts.has(ownDay) && ownDay >= today) counts.set(ownDay, 1);
  const isEmpty = isCurrent && counts.size === 0;
  const isFirst = useRef(true);
  useEffect(() => {
    if (!isCurrent) return;
    // At the end of a month nothing may be left: then the next is what one came for.
    if (isFirst.current && counts.size === 0 && lastDay(month) < latest) setMonth(addMonths(month, 1));
    isFirst.current = false;
  }, [data]);
  const choose = (/** @type {string} */ chosen) => {
    setDay(chosen);
    requestAnimationFrame(() => {
      if (matchMedia("(max-width: 719px)").matches) side.current?.scrollIntoView({ block: "start" });
    });
  };
  const lengths = allowedLengths(moved && Math.round((Date.parse(moved.endsAt) - Date.parse(moved.scheduledAt)) / 60_000));
  const shownDay = day !== null && monthOf(day) === month ? day : null;
  return html`
    <div class="wishes">
      ${psychologists &&
      html`
        <${Field} as="select" label=${t("book.who")} value=${wish.psychologistId} onChange=${(/** @type {any} */ event) => onWish({ ...wish, psychologistId: event.target.value })}>
          <option value="">${t("book.anyone")}</option>
          ${psychologists.map((one) => html`<option key=${one.id} value=${one.id}>${one.fullName}</option>`)}
        <//>
      `}
      ${lengths.length > 1 &&
      html`<${Segments} legend=${t("book.length")} value=${String(wish.length)} options=${lengths.map((n) => [String(n), String(n)])} onChoose=${(/** @type {string} */ n) => onWish({ ...wish, length: Number(n) })} />`}
    </div>
    <${ZoneChoice} />
    ${error && !isLoading && html`<${Failed} error=${error} onRetry=${reload} />`}
    <div class="picker">
      <div class="card">
        <${Month} month=${month} today=${today} latest=${latest} chosen=${shownDay} counts=${counts} isLoading=${isLoading} onMonth=${setMonth} onChoose=${choose} />
        ${isEmpty &&
        html`<div class="stack-s month-empty" role="status">
          <p class="small soft">${t("book.month.none")}</p>
          ${lastDay(month) < latest && html`<${Button} onPress=${() => setMonth(addMonths(month, 1))}>${t("book.month.see", { month: monthName(addMonths(month, 1)) })}<//>`}
        </div>`}
      </div>
      <div class="picker-side" ref=${side}>
        ${!isCurrent && !error
          ? html`<${Skeleton} rows=${3} />`
          : shownDay === null
            ? !isEmpty && html`<p class="soft">${t("book.times.choose")}</p>`
            : moved && shownDay === ownDay
              ? html`<${OwnDay} key=${`${shownDay} ${wish.length} ${zone.value}`} day=${shownDay} wish=${wish} moved=${moved} onChoose=${onChoose} />`
              : html`<${Times} day=${shownDay} slots=${slots.filter((slot) => slot.date === shownDay)} zone=${zone.value} onChoose=${onChoose} own=${moved} />`}
      </div>
    </div>
  `;
}

/** The day of a counselling that is moved, on which its own time counts as free. @param {any} props */
function OwnDay({ day, wish, moved, onChoose }) {
  const { data, error, isLoading, reload } = useLoad(
    (signal) => api().get(`/psychologists/${moved.psychologist.id}/slots`, { query: { date: day, duration: wish.length, timezone: zone.value, except: moved.id }, signal }),
    [],
  );
  if (data === undefined) return error && !isLoading ? html`<${Failed} error=${error} onRetry=${reload} />` : html`<${Skeleton} rows=${3} />`;
  const slots = data.map((/** @type {any} */ one) => ({ ...one, date: day, psychologists: [moved.psychologist] }));
  return html`<${Times} day=${day} slots=${slots} zone=${zone.value} onChoose=${onChoose} own=${moved} />`;
}
