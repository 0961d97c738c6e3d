/** What is ahead of a client, the next large, and what has been. */
import { useCallback, useRef, useState } from "preact/hooks";
import { identity } from "../identity.js";
import { Link } from "../router.js";
import { t } from "../texts.js";
import { Avatar } from "../ui/avatar.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";
import { Empty, Failed, Skeleton, useLoad } from "../ui/load.js";
import { attempt } from "../ui/toasts.js";
import { clockTime, left, useNow } from "../ui/time.js";
import { CalendarFeed } from "./calendar.js";
import { ClientFrame } from "./client_frame.js";
import { chatOf, isAhead, statusOf, waitingFrom, whenOf } from "./counselings.js";
import { api, useLive, useOverdue } from "./live.js";

/** @typedef {import("./counselings.js").Counseling} Counseling */

const PAGE = 20;
const MOST = 100;
const HOUR_MS = 3_600_000;

/**
 * Load the newest, as many as were shown, and all that is ahead, however much that is.
 *
 * @param {number} wanted
 * @param {AbortSignal} signal
 */
async function loadPart(wanted, signal) {
  const now = /** @type {any} */ (identity.peek()).rdchat.clock.now();
  /** @type {Counseling[]} */
  const all = [];
  /** @type {string | null} */
  let cursor = null;
  do {
    const page = await api().get("/counselings", { query: { limit: Math.min(MOST, Math.max(PAGE, wanted - all.length)), cursor }, signal });
    all.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor !== null && (all.length < wanted || Date.parse(all[all.length - 1].scheduledAt) > now));
  const unread = await api().get("/chat/unread", { signal });
  return { all, cursor, unread: new Map(unread.sessions.map((/** @type {any} */ one) => [one.sessionId, one.unread])) };
}

export function Home() {
  const wanted = useRef(PAGE);
  const { data, error, isLoading, reload, set } = useLoad(useCallback((/** @type {AbortSignal} */ signal) => loadPart(wanted.current, signal), []), []);
  useLive(reload);
  const more = () =>
    attempt(async () => {
      const page = await api().get("/counselings", { query: { limit: PAGE, cursor: data?.cursor } });
      const known = new Set(data?.all.map((one) => one.id));
      const all = [...(data?.all ?? []), ...page.data.filter((/** @type {Counseling} */ one) => !known.has(one.id))];
      wanted.current = all.length;
      set({ all, cursor: page.nextCursor, unread: data?.unread ?? new Map() });
    });
  const failed = error && !isLoading;
  return html`
    <${ClientFrame} title=${t("client.sessions")}>
      <h1>${t("client.sessions")}</h1>
      ${failed && html`<${Failed} error=${error} onRetry=${reload} />`}
      ${data === undefined ? !failed && html`<${Skeleton} rows=${4} />` : html`<${Sessions} ...${data} onMore=${more} reload=${reload} />`}
      ${data !== undefined && html`<${CalendarFeed} />`}
    <//>
  `;
}

/** @param {{all: Counseling[], cursor: string | null, unread: Map<string, number>, onMore: () => any, reload: () => any}} props */
function Sessions({ all, cursor, unread, onMore, reload }) {
  const ahead = all.filter(isAhead).reverse();
  const past = all.filter((one) => !isAhead(one));
  const [next, ...others] = ahead;
  const unreadOf = (/** @type {Counseling} */ one) => unread.get(one.chatSession?.sessionId ?? "") ?? 0;
  return html`
    ${next
      ? html`<${Next} key=${next.id} one=${next} unread=${unreadOf(next)} reload=${reload} />`
      : html`<div class="card"><${Empty} icon="calendar"><p>${t("client.none")}</p><${Link} to="/book" class="button primary">${t("client.book")}<//><//></div>`}
    ${others.length > 0 && html`<${Rows} title=${t("client.ahead")} rows=${others} unreadOf=${unreadOf} />`}
    ${past.length > 0
      ? html`<${Rows} title=${t("client.past")} rows=${past} unreadOf=${unreadOf}>${cursor !== null && html`<${Button} onPress=${onMore}>${t("client.more")}<//>`}<//>`
      : html`<p class="small soft">${t("client.none.past")}</p>`}
  `;
}

/** The one that matters. @param {{one: Counseling, unread: number, reload: () => any}} props */
function Next({ one, unread, reload }) {
  const clock = /** @type {any} */ (identity.value).rdchat.clock;
  const starts = Date.parse(one.scheduledAt);
  const now = useNow(clock, 1000);
  const isOpen = one.status === "active";
  useOverdue(isOpen ? now > Date.parse(one.endsAt) : now > starts, reload);
  const chat = chatOf(one, now);
  const isSoon = starts - now < HOUR_MS;
  return html`
    <section class="card next-session" aria-labelledby="next-session" data-counseling=${one.id}>
      <h2 id="next-session" class="soft">${t(isOpen ? "client.now" : "client.next")}</h2>
      <div class="row next-who">
        <${Avatar} person=${one.psychologist} />
        <div class="grow">
          <p class="next-name" dir="auto">${one.psychologist.fullName}</p>
          <p>${whenOf(one, now)}${one.method === "chat" ? "" : ` · ${t(`method.${one.method}`)}`}</p>
        </div>
        ${unread > 0 && html`<${Unread} n=${unread} />`}
      </div>
      ${isOpen
        ? html`<p class="row good-words"><${Icon} name="chat" />${one.chatSession ? t("client.open") : statusOf(one)}</p>`
        : html`<div><p class="small soft">${now < starts && t("client.begins")}</p><p class="countdown" role="timer" aria-live="off">${now < starts ? left(starts - now) : t("client.any")}</p></div>`}
      <div class="row">
        ${chat && html`<${Link} to=${chat.to} class="button primary">${chat.words}<//>`}
        <${Link} to=${`/counselings/${one.id}`} class="button">${t("client.details")}<//>
      </div>
      ${one.chatSession && !chat && !isSoon && html`<p class="small soft">${t("client.waitFrom", { time: clockTime(waitingFrom(one)) })}</p>`}
    </section>
  `;
}

const Unread = (/** @type {{n: number}} */ { n }) => html`<span class="count"><span aria-hidden="true">${n}</span><span class="hidden-visually">${t("client.unread", { n })}</span></span>`;

/** @param {{title: string, rows: Counseling[], unreadOf: (one: Counseling) => number, children?: any}} props */
function Rows({ title, rows, unreadOf, children }) {
  const [now] = useState(() => /** @type {any} */ (identity.peek()).rdchat.clock.now());
  return html`
    <section class="stack-s">
      <h2>${title}</h2>
      <ul class="card list rows">
        ${rows.map(
          (one) => html`
            <li key=${one.id}>
              <${Link} to=${`/counselings/${one.id}`} class="list-link" data-counseling=${one.id}>
                <${Avatar} person=${one.psychologist} />
                <span class="grow"><span class="row-name" dir="auto">${one.psychologist.fullName}</span><span class="small soft">${whenOf(one, now)}</span></span>
                ${unreadOf(one) > 0 && html`<${Unread} n=${unreadOf(one)} />`}
                <span class=${`mark ${one.status === "cancelled" ? "bad" : ""}`}>${statusOf(one)}</span>
              <//>
            </li>
          `,
        )}
      </ul>
      ${children && html`<div>${children}</div>`}
    </section>
  `;
}

