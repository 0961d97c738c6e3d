/** Counsellings, as the desk asks the service for them. */
import { identity } from "../identity.js";
import { ownZone } from "../ui/time.js";

/**
 * @typedef {object} Counseling
 * @property {string} id
 * @property {string} method
 * @property {"pending" | "active" | "completed" | "cancelled"} status
 * @property {string} scheduledAt
 * @property {string} endsAt
 * @property {{id: string, fullName: string}} client
 * @property {{id: string, fullName: string}} psychologist
 * @property {{sessionId: string, status: string, isChatEnabled: boolean} | null} chatSession
 * @property {string | null} [cancelReason]
 * @property {string | null} [notes]
 */

const api = () => /** @type {import("../../client/api.js").Api} */ (identity.value?.api);

/**
 * Those of some days, earliest first.
 *
 * @param {string} from the first day, as `2026-06-03`, in the reader's zone
 * @param {string} to the last one
 * @param {AbortSignal} [signal]
 * @returns {Promise<Counseling[]>}
 */
export async function listCounselings(from, to, signal) {
  const found = [];
  for (let cursor; cursor !== null; ) {
    const page = await api().get("/counselings", { query: { from, to, timezone: ownZone, limit: 100, cursor }, signal });
    found.push(...page.data);
    cursor = page.nextCursor;
  }
  return found.reverse();
}
