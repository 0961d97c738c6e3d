/** Working hours: every week, and what differs on certain days. Saved together, guarded against another window. */
import { useState } from "preact/hooks";
import { identity } from "../identity.js";
import { Link } from "../router.js";
import { t } from "../texts.js";
import { Avatar } from "../ui/avatar.js";
import { Button } from "../ui/button.js";
import { confirm } from "../ui/dialog.js";
import { Field } from "../ui/field.js";
import { html } from "../ui/html.js";
import { Failed, Skeleton, useLoad } from "../ui/load.js";
import { isoDay, longDate, ownZone, span } from "../ui/time.js";
import { say, sayError } from "../ui/toasts.js";
import { DeskFrame } from "./desk_frame.js";
import { Exceptions } from "./hours_exceptions.js";
import { byDay, toEntries, toExceptions, toWeekly, wrongWith, wrongWithEntry } from "./hours_model.js";
import { WeeklyHours } from "./hours_weekly.js";

/** @typedef {import("./hours_model.js").Interval} Interval */
/** @typedef {import("./hours_model.js").Entry} Entry */
/** @typedef {{timezone: string, days: Interval[][], entries: Entry[]}} Hours */

const INDONESIAN = ["Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"];
const path = () => `/psychologists/${identity.value?.me.id}/availability`;
const api = () => /** @type {import("../../client/api.js").Api} */ (identity.value?.api);

/** What was not saved when the screen was left; it is there again as long as the service has nothing newer. @type {{of: string, etag: string, hours: Hours} | null} */
let unsaved = null;

/** @param {any} data @returns {Hours} */
const asHours = (data) => ({ timezone: data.timezone, days: byDay(data.weekly), entries: toEntries(data.exceptions) });

export function HoursScreen() {
  const { data, error, reload } = useLoad((signal) => api().getTagged(path(), { signal }), []);
  return html`
    <${DeskFrame} title=${t("desk.hours")}>
      <div class="page hours">
        <div class="stack-s"><h1>${t("desk.hours")}</h1><p class="soft">${t("hours.text")}</p></div>
        ${data === undefined && (error ? html`<${Failed} error=${error} onRetry=${reload} />` : html`<${Skeleton} rows=${6} />`)}
        ${data !== undefined && html`<${Editor} key=${data.etag} given=${asHours(data.data)} etag=${data.etag} onReload=${reload} />`}
      </div>
    <//>
  `;
}

/** @param {{given: Hours, etag: string, onReload: () => Promise<void>}} props */
function Editor({ given, etag, onReload }) {
  const of = identity.value?.me.id ?? "";
  const left = unsaved?.etag === etag && unsaved.of === of ? unsaved : null;
  const [hours, setHours] = useState(left?.hours ?? given);
  const [tag, setTag] = useState(etag);
  const [isChanged, setChanged] = useState(left !== null);
  const [isChecked, setChecked] = useState(false);
  const [affected, setAffected] = useState(/** @type {any[] | null} */ (null));
  const change = (/** @type {Partial<Hours>} */ part) => {
    const next = { ...hours, ...part };
    unsaved = { of, etag: tag, hours: next };
    setHours(next);
    setChanged(true);
  };
  const save = async () => {
    setChecked(true);
    if (hours.days.some(wrongWith) || hours.entries.some(wrongWithEntry)) {
      requestAnimationFrame(() => /** @type {HTMLElement | null} */ (document.querySelector(".hours [aria-invalid=true]"))?.focus());
      return;
    }
    const today = isoDay(/** @type {any} */ (identity.value?.rdchat).clock.now(), hours.timezone);
    // What is past would fill the list in the course of years.
    const body = { timezone: hours.timezone, weekly: toWeekly(hours.days), exceptions: toExceptions(hours.entries.filter((one) => one.to >= today)) };
    try {
      const saved = await api().putTagged(path(), { body, headers: { "If-Match": tag } });
      unsaved = null;
      setTag(saved.etag);
      setHours(asHours(saved.data));
      setAffected(saved.data.affected);
      setChanged(false);
      setChecked(false);
      say(t("app.saved"));
    } catch (error) {
      if (/** @type {any} */ (error).status !== 412) return sayError(error);
      const yes = await confirm({ title: t("hours.conflict"), text: t("hours.conflict.text"), verb: t("hours.conflict.verb") });
      if (yes) await onReload();
    }
    return undefined;
  };
  const isOpen = hours.days.every((one) => one.length === 0) && !hours.entries.some((one) => one.kind === "other" || one.kind === "extra");
  const zones = [...new Set([hours.timezone, ownZone, ...INDONESIAN])];
  return html`
    ${affected !== null && html`<${Affected} affected=${affected} />`}
    ${isOpen && html`<p class="notice">${t("hours.always")}</p>`}
    <section class="card stack">
      <${Field} label=${t("hours.zone")} as="select" hint=${hours.timezone === ownZone ? t("hours.zone.hint") : t("hours.zone.other", { zone: ownZone.replace(/_/g, " ") })} onChange=${(/** @type {any} */ event) => change({ timezone: event.target.value })}>
        ${zones.map((zone) => html`<option key=${zone} value=${zone} selected=${zone === hours.timezone}>${zone.replace(/_/g, " ")}</option>`)}
      <//>
    </section>
    <${WeeklyHours} days=${hours.days} none=${t(isOpen ? "hours.anytime" : "hours.closed")} isChecked=${isChecked} onChange=${(/** @type {Interval[][]} */ days) => change({ days })} />
    <${Exceptions} entries=${hours.entries} isChecked=${isChecked} onChange=${(/** @type {Entry[]} */ entries) => change({ entries })} />
    <div class=${`hours-save ${isChanged ? "changed" : ""}`}>
      <p class="small soft" role="status">${t(isChanged ? "hours.unsaved" : "hours.same")}</p>
      <${Button} kind="primary" disabled=${!isChanged} onPress=${save}>${t("app.save")}<//>
    </div>
  `;
}

/** What is booked and does not fit any more. @param {{affected: any[]}} props */
function Affected({ affected }) {
  if (affected.length === 0) return html`<p class="notice good" role="status">${t("hours.saved")}</p>`;
  return html`
    <section class="card stack-s affected" role="alert" data-affected=${affected.length}>
      <h2>${t("hours.affected", { n: affected.length })}</h2>
      <p class="small">${t("hours.affected.text")}</p>
      <ul class="list">
        ${affected.map(
          (one) => html`
            <li key=${one.id}>
              <${Link} class="list-link" to=${`/counselings/${one.id}`}>
                ${one.client && html`<${Avatar} person=${one.client} small />`}
                <span class="grow"><strong class="ellipsis" dir="auto">${one.client?.fullName ?? ""}</strong><br /><span class="small soft">${longDate(one.startsAt)}, ${span(one.startsAt, one.endsAt)}</span></span>
                <span class="small">${t("hours.affected.open")}</span>
              <//>
            </li>
          `,
        )}
      </ul>
    </section>
  `;
}
