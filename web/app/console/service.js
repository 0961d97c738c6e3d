/** How the service runs: each part with a word, and its numbers. */
import { Link } from "../router.js";
import { t } from "../texts.js";
import { html } from "../ui/html.js";
import { exactTime } from "../ui/time.js";
import { bytes, duration, moment, number } from "./figures.js";

const NEARLY = 0.8;
const OUTBOX_PATIENCE_MS = 5_000;
const SEEN_PATIENCE_MS = 15_000;
const CLOCK_LIMIT_MS = 500;

/** @typedef {{tone: "good" | "warn" | "bad", word: string, numbers: string[], to?: string}} Said */

/** @param {string} word @param {"good" | "warn" | "bad"} tone @param {string[]} [numbers] @param {string} [to] @returns {Said} */
const said = (word, tone, numbers = [], to) => ({ word, tone, numbers, to });
const ok = (/** @type {string[]} */ numbers) => said(t("console.ok"), "good", numbers);
const away = () => said(t("console.away"), "bad");

/** What is to be said of each part. @type {[string, (data: any) => Said][]} */
const PARTS = [
  ["queue", ({ queue }) => {
    if (queue === null) return away();
    const numbers = queue.scheduled === null ? [] : [t("console.queue.numbers", { scheduled: number(queue.scheduled), leased: number(queue.leased ?? 0) })];
    if (queue.due > 0 && queue.deadLetters > 0) numbers.push(t("console.queue.dead", { n: number(queue.deadLetters) }));
    if (queue.due > 0) return said(t("console.queue.late", { n: number(queue.due), time: duration(queue.lateMs) }), "bad", numbers);
    if (queue.scheduled === null) return said(t("console.queue.unknown"), "warn");
    if (queue.deadLetters > 0) return said(t("console.queue.dead", { n: number(queue.deadLetters) }), "warn", numbers, "/dead-letters");
    return ok(numbers);
  }],
  ["outbox", ({ outbox, at }) => {
    if (outbox === null) return away();
    const age = outbox.oldestAt === null ? 0 : Date.parse(at) - Date.parse(outbox.oldestAt);
    const numbers = [t("console.outbox.numbers", { n: number(outbox.waiting) })];
    return age > OUTBOX_PATIENCE_MS ? said(t("console.outbox.behind", { time: duration(age) }), "warn", numbers) : ok(numbers);
  }],
  ["webhooks", ({ webhooks }) => {
    if (webhooks === null) return away();
    const numbers = [t("console.outbox.numbers", { n: number(webhooks.waiting) })];
    return webhooks.dead > 0 ? said(t("console.webhooks.dead", { n: number(webhooks.dead) }), "warn", numbers, "/dead-letters") : ok(numbers);
  }],
  ["ably", ({ ably }) => {
    const numbers = [t(`console.ably.${ably.mode}`)];
    return ably.status === "ok" ? ok(numbers) : said(t("console.ably.failing"), "bad", numbers);
  }],
  ["postgresql", ({ postgresql }) => {
    if (postgresql === null) return away();
    const { connections, pool, latencyMs } = postgresql;
    const numbers = [t("console.answers", { time: duration(latencyMs) }), t("console.connections", { n: number(connections.used), of: number(connections.limit) }), t("console.pool", { n: number(pool.open - pool.idle), of: number(pool.limit) })];
    return connections.used > NEARLY * connections.limit ? said(t("console.connections.few"), "warn", numbers) : ok(numbers);
  }],
  ["redis", ({ redis }) => {
    if (redis === null) return away();
    const memory = redis.maxMemory === null ? bytes(redis.usedMemory) : t("console.of", { n: bytes(redis.usedMemory), of: bytes(redis.maxMemory) });
    const numbers = [t("console.answers", { time: duration(redis.latencyMs) }), t("console.memory", { n: memory }), t("console.clients", { n: number(redis.clients) })];
    return redis.maxMemory !== null && redis.usedMemory > NEARLY * redis.maxMemory ? said(t("console.memory.full"), "warn", numbers) : ok(numbers);
  }],
  ["clock", ({ clock }) => {
    const numbers = clock.offsetMs === null ? [] : [t("console.clock.offset", { time: offset(clock.offsetMs) })];
    return clock.status === "ok" ? ok(numbers) : said(t("console.clock.off"), "bad", numbers);
  }],
];

/** @param {number} ms */
const offset = (ms) => `${ms < 0 ? "−" : "+"}${duration(Math.abs(ms))}`;

/** @param {{data: any}} props the overview, as an administrator gets it */
export const Service = ({ data }) => html`
  <section class="stack" aria-labelledby="service">
    <h2 id="service">${t("console.service")}</h2>
    <ul class="parts">
      ${PARTS.map(([name, look]) => {
        const { tone, word, numbers, to } = look(data);
        const mark = html`<span class=${`mark ${tone}`} data-tone=${tone}>${word}</span>`;
        return html`
          <li key=${name} class="card stack-s" data-part=${name}>
            <div class="row-between"><h3>${t(`console.part.${name}`)}</h3>${to ? html`<${Link} to=${to} class="mark-link">${mark}<//>` : mark}</div>
            ${numbers.map((one) => html`<p key=${one} class="small soft numbers">${one}</p>`)}
          </li>
        `;
      })}
    </ul>
  </section>
  <section class="stack" aria-labelledby="replicas">
    <h2 id="replicas">${t("console.replicas")}</h2>
    ${data.replicas === null ? html`<p class="soft">${t("console.replicas.unknown")}</p>` : html`<${Replicas} replicas=${data.replicas} at=${Date.parse(data.at)} />`}
  </section>
`;

/** @param {any} replica @param {number} at @returns {Said} */
function sayOf(replica, at) {
  const silent = at - Date.parse(replica.seenAt);
  if (silent > SEEN_PATIENCE_MS) return said(t("console.replica.silent", { time: duration(silent) }), "warn");
  if (Math.abs(replica.clockOffsetMs ?? 0) > CLOCK_LIMIT_MS) return said(t("console.clock.off"), "bad");
  return ok([]);
}

/** @param {{replicas: any[], at: number}} props */
const Replicas = ({ replicas, at }) => html`
  <div class="table-scroll" tabindex="0" role="group" aria-label=${t("console.replicas")}>
    <table class="table numbers">
      <thead><tr>
        ${["name", "state", "roles", "since", "live", "commands", "jobs", "outbox", "offset", "seen", "version"].map((one) => html`<th key=${one} scope="col">${t(`console.replica.${one}`)}</th>`)}
      </tr></thead>
      <tbody>
        ${replicas.map((one) => {
          const { tone, word } = sayOf(one, at);
          return html`
            <tr key=${one.id}>
              <th scope="row" class="nowrap">${one.name}</th>
              <td><span class=${`mark ${tone}`}>${word}</span></td>
              <td>${one.roles.join(", ")}</td>
              <td class="nowrap">${moment(one.startedAt, at)}</td>
              <td>${number(one.liveSessions)}</td>
              <td>${number(one.commandsWaiting)}</td>
              <td>${one.jobsHeld === null ? "–" : number(one.jobsHeld)}</td>
              <td>${number(one.outboxHeld)}</td>
              <td class="nowrap">${one.clockOffsetMs === null ? "–" : offset(one.clockOffsetMs)}</td>
              <td class="nowrap">${exactTime(one.seenAt)}</td>
              <td>${one.version}</td>
            </tr>
          `;
        })}
      </tbody>
    </table>
  </div>
`;
