/** Where a session stands, and why it is over, in words. */
import { hasText, t } from "../texts.js";
import { html } from "../ui/html.js";

export const STATUSES = ["pending", "active", "ending_soon", "completed", "cancelled"];
/** @type {Record<string, string>} */
const TONES = { active: "good", ending_soon: "warn" };

/** @param {{status: string}} props */
export const Status = ({ status }) => html`<span class=${`mark ${TONES[status] ?? ""}`} data-status=${status}>${t(`status.${status}`)}</span>`;

/** Why something ended, or was not run; an unknown reason as it is. @param {string} reason */
export const reasonText = (reason) => (hasText(`reason.${reason}`) ? t(`reason.${reason}`) : reason);

/** @param {{reason: string}} props */
export const EndReason = ({ reason }) => reasonText(reason);
