/** After booking: that it worked, and what happens next. */
import { useEffect, useRef } from "preact/hooks";
import { identity } from "../identity.js";
import { language } from "../preferences.js";
import { Link } from "../router.js";
import { settings } from "../settings.js";
import { t } from "../texts.js";
import { Avatar, calledName } from "../ui/avatar.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";
import { clockTime, dayName } from "../ui/time.js";
import { AddToCalendar, CalendarFeed } from "./calendar.js";
import { ClientFrame } from "./client_frame.js";
import { deadlineOf, inSentence, lengthOf, whenOf, zoneName } from "./counselings.js";
import { zone } from "./zones.js";

/** @param {{counseling: import("./counselings.js").Counseling & {ics: string}}} props */
export function Booked({ counseling }) {
  const heading = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => heading.current?.focus(), []);
  const now = /** @type {any} */ (identity.value).rdchat.clock.now();
  const starts = Date.parse(counseling.scheduledAt);
  const name = calledName(counseling.psychologist.fullName);
  const time = clockTime(starts, zone.value);
  const ahead = (/** @type {number} */ seconds) => starts - 1000 * seconds > now;
  const reminders = (settings.reminders ?? []).filter(ahead).sort((one, other) => other - one);
  const lead = settings.initialLead ?? 0;
  const { until } = deadlineOf(counseling);
  const change = settings.cancelDeadline
    ? t("book.then.change", { when: inSentence(`${dayName(until, now, zone.value)}, ${clockTime(until, zone.value)}`) })
    : t("book.then.changeStart");
  const steps = [
    reminders.length > 0 && t("book.then.remind", { when: new Intl.ListFormat(language.value, { type: "conjunction" }).format(reminders.map((one) => lengthOf(one, language.value))) }),
    counseling.chatSession && lead > 0 && ahead(lead) && t("book.then.first", { lead: lengthOf(lead, language.value), name }),
    counseling.chatSession ? t("book.then.opens", { time }) : t("book.then.other", { name, time }),
  ].filter(Boolean);
  return html`
    <${ClientFrame} title=${t("book.done")}>
      <div class="row good-words"><${Icon} name="check" /><h1 ref=${heading} tabindex="-1">${t("book.done")}</h1></div>
      <section class="card summary" data-counseling=${counseling.id}>
        <p class="summary-when">${whenOf(counseling, now, zone.value)}</p>
        <p class="small soft">${t("client.zone", { zone: zoneName(zone.value) })} · ${t(`method.${counseling.method}`)}</p>
        <p class="row"><${Avatar} person=${counseling.psychologist} small /><span class="grow" dir="auto">${counseling.psychologist.fullName}</span></p>
      </section>
      <section class="stack-s">
        <h2>${t("book.then")}</h2>
        <ol class="then">${steps.map((one) => html`<li key=${one}>${one}</li>`)}</ol>
        ${until > now && html`<p class="small soft">${change}</p>`}
      </section>
      <div class="row">
        <${Link} to=${`/counselings/${counseling.id}`} class="button primary">${t("book.toSession")}<//>
        <${AddToCalendar} ics=${counseling.ics} />
      </div>
      <${CalendarFeed} />
    <//>
  `;
}
