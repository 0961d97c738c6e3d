/** The service at a glance: sessions by state, what opens soon, how late timers are, and for administrators how it runs. */
import { useEffect, useState } from "preact/hooks";
import { identity } from "../identity.js";
import { Link } from "../router.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";
import { Failed, Skeleton } from "../ui/load.js";
import { clockTime, exactTime, left, ownZone, useNow } from "../ui/time.js";
import { number, shortId } from "./figures.js";
import { Lateness } from "./lateness.js";
import { api } from "./pages.js";
import { usePoll } from "./poll.js";
import { isAdmin, Screen } from "./screen.js";
import { Service } from "./service.js";

const EVERY_MS = 5_000;
const SHOWN_FIRST = 6;

/** The counts, and which list each leads to. @type {[string, string][]} */
const COUNTS = [
  ["pending", "pending"],
  ["active", "active"],
  ["endingSoon", "ending_soon"],
  ["completedToday", "completed"],
  ["cancelledToday", "cancelled"],
  ["missedToday", "cancelled"],
];

export function Overview() {
  const { data, error, at, reload } = usePoll((signal) => api().get("/operations/overview", { query: { timezone: ownZone }, signal }), () => EVERY_MS);
  const isOld = error !== null && data !== undefined;
  return html`
    <${Screen} title=${t("console.overview")} hint=${data && html`<${Looked} at=${at} />`}>
      <div role="status">
        ${isOld && html`<p class="notice" data-old>${t("console.old", { time: exactTime(/** @type {number} */ (at)) })}</p>`}
      </div>
      ${data === undefined && (error ? html`<${Failed} error=${error} onRetry=${reload} />` : html`<${Skeleton} rows=${6} />`)}
      ${data && html`<div class=${`stack-l ${isOld ? "is-old" : ""}`}><${Glance} data=${data} /></div>`}
    <//>
  `;
}

/** When it was looked last, and that a hidden page does not look. @param {{at: number | null}} props */
function Looked({ at }) {
  const [isHidden, setHidden] = useState(document.hidden);
  useEffect(() => {
    const update = () => setHidden(document.hidden);
    document.addEventListener("visibilitychange", update);
    return () => document.removeEventListener("visibilitychange", update);
  }, []);
  if (at === null) return null;
  return html`<span class="numbers" data-looked>${t(isHidden ? "console.paused" : "console.looked", { time: exactTime(at) })}</span>`;
}

/** @param {{data: any}} props */
function Glance({ data }) {
  return html`
    <section aria-labelledby="counts" class="stack-s">
      <h2 id="counts" class="hidden-visually">${t("console.counts")}</h2>
      ${data.counts === null
        ? html`<p class="problem">${t("console.unknown")}</p>`
        : html`<ul class="counts">
            ${COUNTS.map(([name, status]) => html`
              <li key=${name}><${Link} to=${`/sessions?status=${status}`} class="card" data-count=${name}><span class="soft small">${t(`console.count.${name}`)}</span><strong class="numbers">${number(data.counts[name])}</strong><//></li>
            `)}
          </ul>`}
    </section>
    <div class="columns">
      <section class="card stack" aria-labelledby="opening"><h2 id="opening">${t("console.opening")}</h2><${Openings} opening=${data.opening} /></section>
      <section class="card stack" aria-labelledby="lateness">
        <h2 id="lateness">${t("console.lateness")}</h2>
        ${data.lateness === null ? html`<p class="soft">${t("console.unknown")}</p>` : html`<${Lateness} minutes=${data.lateness} now=${Date.parse(data.at)} />`}
      </section>
    </div>
    ${isAdmin() && html`<${Service} data=${data} />`}
  `;
}

/** @param {{opening: {sessions: any[], total: number} | null}} props */
function Openings({ opening }) {
  const now = useNow(/** @type {any} */ (identity.value).rdchat.clock);
  const [isWhole, setWhole] = useState(false);
  if (opening === null) return html`<p class="soft">${t("console.unknown")}</p>`;
  if (opening.total === 0) return html`<p class="soft">${t("console.opening.none")}</p>`;
  const shown = isWhole ? opening.sessions : opening.sessions.slice(0, SHOWN_FIRST);
  const hidden = opening.total - shown.length;
  return html`
    <ul class="list openings">
      ${shown.map((one) => html`
        <li key=${one.sessionId}>
          <${Link} to=${`/sessions/${one.sessionId}`} class="list-link">
            <span class="numbers when">${clockTime(one.scheduledAt)}</span>
            <span class="grow"><strong>${one.psychologist.fullName}</strong><span class="tiny soft">${t("console.client")} ${shortId(one.clientId)}</span></span>
            <span class="numbers">${Date.parse(one.scheduledAt) > now ? left(Date.parse(one.scheduledAt) - now) : t("console.opening.now")}</span>
            <${Icon} name="right" />
          <//>
        </li>
      `)}
    </ul>
    ${hidden > 0 && !isWhole && html`<div><${Button} kind="quiet" icon="down" onPress=${() => setWhole(true)}>${t("console.opening.all", { n: number(opening.total) })}<//></div>`}
    ${hidden > 0 && isWhole && html`<p class="small soft">${t("console.opening.more", { n: number(hidden) })}</p>`}
  `;
}
