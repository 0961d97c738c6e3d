/** A psychologist's quick replies, as the service keeps them; fetched once, and again after a change. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { identity } from "../identity.js";

/**
 * @typedef {object} QuickReply
 * @property {string} id
 * @property {string} title
 * @property {string} text
 * @property {number} position from 1
 */

/** With whose they are: the next person at this device must not see them. @type {import("@preact/signals").Signal<{of: string, replies: QuickReply[]} | null>} */
const known = signal(null);

const api = () => /** @type {import("../../client/api.js").Api} */ (identity.value?.api);

async function fetchReplies() {
  const of = identity.peek()?.me.id ?? "";
  const answer = await api().get("/quick-replies");
  known.value = { of, replies: answer };
}

/** @returns {{data: QuickReply[] | undefined, error: any, reload: () => Promise<void>}} */
export function useQuickReplies() {
  const [error, setError] = useState(/** @type {any} */ (null));
  const reload = () => {
    setError(null);
    return fetchReplies().catch(setError);
  };
  useEffect(() => void reload(), []);
  const data = known.value?.of === identity.value?.me.id ? known.value?.replies : undefined;
  return { data, error, reload };
}

/**
 * Keep a new one, or change one. Throw an ApiError.
 *
 * @param {Partial<QuickReply>} reply without an id it is new
 */
export async function saveReply({ id, ...body }) {
  await (id === undefined ? api().post("/quick-replies", { body }) : api().put(`/quick-replies/${id}`, { body }));
  await fetchReplies();
}

/** Throw an ApiError. @param {string} id */
export async function deleteReply(id) {
  await api().delete(`/quick-replies/${id}`);
  await fetchReplies();
}
