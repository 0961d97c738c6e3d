/** One counselling: when, with whom, what was written at booking, and what can be done about it. */
import { useState } from "preact/hooks";
import { identity } from "../identity.js";
import { go, Link } from "../router.js";
import { t } from "../texts.js";
import { Avatar } from "../ui/avatar.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";
import { Failed, Skeleton, useLoad } from "../ui/load.js";
import { dayName, ownZone, span } from "../ui/time.js";
import { ClientNotes } from "./client_notes.js";
import { CancelDialog, HandOverDialog, MoveDialog } from "./counseling_changes.js";
import { StatusMark } from "./counseling_row.js";
import { DeskFrame } from "./desk_frame.js";
import { useDesk } from "./live_chats.js";
import { useNews } from "./today_screen.js";

/** @typedef {import("./counselings.js").Counseling} Counseling */

const DIALOGS = { move: MoveDialog, cancel: CancelDialog, handOver: HandOverDialog };

/** @param {{id: string}} props */
export function CounselingScreen({ id }) {
  const api = /** @type {import("../../client/api.js").Api} */ (identity.value?.api);
  const live = useDesk();
  const { data, error, reload } = useLoad((signal) => api.get(`/counselings/${id}`, { signal }), [id]);
  useNews(reload);
  const [asked, setAsked] = useState(/** @type {keyof typeof DIALOGS | null} */ (null));
  const done = (/** @type {boolean} */ isGone) => {
    setAsked(null);
    void live.look();
    if (isGone) go("/", { replace: true });
    else void reload();
  };
  const Asked = asked && DIALOGS[asked];
  return html`
    <${DeskFrame} title=${t("counseling.title")}>
      <div class="page">
        <p><${Link} to="/" class="back small"><${Icon} name="back" />${t("desk.today")}<//></p>
        ${data === undefined && html`<h1>${t("counseling.title")}</h1>`}
        ${data === undefined && !error && html`<${Skeleton} />`}
        ${error && html`<${Failed} error=${error} onRetry=${reload} />`}
        ${data !== undefined && html`<${Facts} counseling=${data} onAsk=${setAsked} />`}
        ${data !== undefined && html`<div class="card"><${ClientNotes} key=${data.client.id} clientId=${data.client.id} heading="h2" /></div>`}
        ${Asked && data !== undefined && html`<${Asked} counseling=${data} onClose=${() => setAsked(null)} onDone=${done} />`}
      </div>
    <//>
  `;
}

/** @param {{counseling: Counseling, onAsk: (what: keyof typeof DIALOGS) => void}} props */
function Facts({ counseling, onAsk }) {
  const now = /** @type {any} */ (identity.value?.rdchat).clock.now();
  const { client, scheduledAt, endsAt, method, status, chatSession, notes, cancelReason } = counseling;
  const isPending = status === "pending";
  const canCancel = isPending || status === "active";
  return html`
    <div class="row counseling-head"><${Avatar} person=${client} /><div class="grow"><h1 dir="auto">${client.fullName}</h1><p class="small soft">${t(`method.${method}`)}</p></div><${StatusMark} counseling=${counseling} /></div>
    <div class="card stack">
      <dl class="facts">
        <div><dt>${t("panel.when")}</dt><dd>${dayName(scheduledAt, now)}, ${span(scheduledAt, endsAt)} <span class="small soft">(${ownZone.replace(/_/g, " ")})</span></dd></div>
        ${cancelReason && html`<div><dt>${t("counseling.reason")}</dt><dd dir="auto">${cancelReason}</dd></div>`}
        ${status === "cancelled" && !cancelReason && html`<div><dt>${t("counseling.reason")}</dt><dd class="soft">${t("counseling.reason.none")}</dd></div>`}
        <div><dt>${t("panel.booking")}</dt><dd dir="auto" class=${notes ? "prose" : "soft"}>${notes || t("counseling.notes.none")}</dd></div>
      </dl>
      <div class="row">
        ${chatSession !== null && status !== "cancelled" && html`<${Link} class=${`button ${status === "completed" ? "" : "primary"}`} to=${`/chats/${chatSession.sessionId}`}><${Icon} name="chat" />${t(status === "completed" ? "counseling.read" : "today.toChat")}<//>`}
        ${isPending && html`<${Button} icon="calendar" data-action="move" onPress=${() => onAsk("move")}>${t("counseling.move")}<//>`}
        ${isPending && html`<${Button} icon="swap" data-action="hand-over" onPress=${() => onAsk("handOver")}>${t("counseling.handOver")}<//>`}
        ${canCancel && html`<${Button} kind="danger" icon="close" data-action="cancel" onPress=${() => onAsk("cancel")}>${t("counseling.cancel")}<//>`}
      </div>
    </div>
  `;
}
