/** What the service has told a client, newest first. */
import { useEffect, useState } from "preact/hooks";
import { identity } from "../identity.js";
import { go } from "../router.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";
import { Empty, Failed, Skeleton, useLoad } from "../ui/load.js";
import { attempt } from "../ui/toasts.js";
import { clockTime, dayName } from "../ui/time.js";
import { ClientFrame } from "./client_frame.js";
import { api, countNews, unreadNews, useLive } from "./live.js";

const PAGE = 20;
/** Signs of what was told; the words say it. @type {Record<string, string>} */
const SIGNS = {
  session_cancelled: "close",
  session_missed: "warning",
  session_rescheduled: "calendar",
  session_completed: "check",
  session_extended: "clock",
  counseling_booked: "calendar",
  counseling_reassigned: "swap",
  psychologist_unavailable: "warning",
  chat_enabled: "chat",
};

/** @param {AbortSignal} signal */
const loadNews = (signal) => api().get("/notifications", { query: { limit: PAGE }, signal });

export function News() {
  const { data, error, isLoading, reload } = useLoad(loadNews, []);
  useLive(reload);
  const [older, setOlder] = useState(/** @type {{data: any[], nextCursor: string | null} | null} */ (null));
  useEffect(() => {
    if (data !== undefined) unreadNews.value = data.unreadCount;
  }, [data]);
  const more = () =>
    attempt(async () => {
      const page = await api().get("/notifications", { query: { limit: PAGE, cursor: older === null ? data.nextCursor : older.nextCursor } });
      setOlder({ data: [...(older?.data ?? []), ...page.data], nextCursor: page.nextCursor });
    });
  const readAll = () =>
    attempt(async () => {
      await api().put("/notifications/read-all");
      setOlder(null);
      await reload();
    });
  const open = async (/** @type {any} */ one) => {
    if (!one.isRead) {
      // Not waited for: where it leads matters more.
      void api().put(`/notifications/${one.id}/read`).then(countNews, () => {});
    }
    go(`/counselings/${one.data.counselingId}`);
  };
  const failed = error && !isLoading;
  const firstIds = new Set(data?.data.map((/** @type {any} */ one) => one.id));
  const all = data === undefined ? [] : [...data.data, ...(older?.data ?? []).filter((one) => !firstIds.has(one.id))];
  const following = older === null ? data?.nextCursor : older.nextCursor;
  return html`
    <${ClientFrame} title=${t("client.news")}>
      <div class="row-between">
        <h1>${t("client.news")}</h1>
        ${(data?.unreadCount ?? 0) > 0 && html`<${Button} kind="quiet" icon="checks" onPress=${readAll}>${t("news.readAll")}<//>`}
      </div>
      ${failed && html`<${Failed} error=${error} onRetry=${reload} />`}
      ${data === undefined && !failed && html`<${Skeleton} rows=${5} />`}
      ${data !== undefined && all.length === 0 && html`<div class="card"><${Empty} icon="bell"><p>${t("news.none")}</p><//></div>`}
      ${all.length > 0 && html`<ul class="card list rows">${all.map((one) => html`<${Item} key=${one.id} one=${one} onOpen=${open} />`)}</ul>`}
      ${following && html`<div><${Button} onPress=${more}>${t("client.more")}<//></div>`}
    <//>
  `;
}

/** @param {{one: any, onOpen: (one: any) => any}} props */
function Item({ one, onOpen }) {
  const now = /** @type {any} */ (identity.peek()).rdchat.clock.now();
  return html`
    <li>
      <button class="list-link news" data-notification=${one.type} data-unread=${!one.isRead || undefined} onClick=${() => onOpen(one)}>
        <span class="news-sign"><${Icon} name=${SIGNS[one.type] ?? "bell"} /></span>
        <span class="grow">
          <strong>${one.title}</strong>
          <span dir="auto">${one.message}</span>
          ${one.data.reason && html`<span class="soft small" dir="auto">${t("client.reason")}: ${one.data.reason}</span>`}
          <span class="tiny soft">${dayName(one.createdAt, now)}, ${clockTime(one.createdAt)}</span>
        </span>
        ${!one.isRead && html`<span class="dot"><span class="hidden-visually">${t("news.unread")}</span></span>`}
      </button>
    </li>
  `;
}
