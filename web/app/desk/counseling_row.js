/** A counselling in a list: when, with whom, how, and where it stands. */
import { Link } from "../router.js";
import { t } from "../texts.js";
import { Avatar } from "../ui/avatar.js";
import { html } from "../ui/html.js";
import { clockTime, longDate } from "../ui/time.js";

/** @typedef {import("./counselings.js").Counseling} Counseling */

/** @param {{counseling: Counseling, hasDay?: boolean}} props `hasDay`: the day is not said above it */
export function CounselingRow({ counseling, hasDay = false }) {
  const { id, client, scheduledAt, endsAt, status, method } = counseling;
  return html`
    <${Link} to=${`/counselings/${id}`} class=${`list-link counseling-row ${status}`} data-counseling=${id}>
      <span class="counseling-time numbers"><strong>${clockTime(scheduledAt)}</strong><br /><span class="tiny soft">${clockTime(endsAt)}</span></span>
      <${Avatar} person=${client} small />
      <span class="grow"><span class="ellipsis counseling-name" dir="auto">${client.fullName}</span><span class="tiny soft">${hasDay && `${longDate(scheduledAt)} · `}${t(`method.${method}`)}</span></span>
      <${StatusMark} counseling=${counseling} />
    <//>
  `;
}

/** @param {{counseling: Counseling}} props */
export function StatusMark({ counseling }) {
  const status = counseling.chatSession?.status === "ending_soon" ? "ending_soon" : counseling.status;
  const kind = { active: "good", ending_soon: "warn", cancelled: "bad" }[/** @type {string} */ (status)] ?? "";
  return html`<span class=${`mark ${kind}`}>${t(`status.${status}`)}</span>`;
}
