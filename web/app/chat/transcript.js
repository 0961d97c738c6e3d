/** Keeping the conversation: as a text file, or as a page to read and print. */
import { identity } from "../identity.js";

/** @param {string} sessionId @param {"txt" | "html"} format @returns {Promise<Blob>} */
async function fetchTranscript(sessionId, format) {
  const api = /** @type {import("../../client/api.js").Api} */ (identity.value?.api);
  return api.getFile(`/chat/sessions/${sessionId}/transcript`, { query: { format } });
}

/** @param {string} sessionId */
export async function saveTranscript(sessionId) {
  const url = URL.createObjectURL(await fetchTranscript(sessionId, "txt"));
  const link = Object.assign(document.createElement("a"), { href: url, download: "transcript.txt" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** @param {string} sessionId */
export async function showTranscript(sessionId) {
  const url = URL.createObjectURL(await fetchTranscript(sessionId, "html"));
  open(url, "_blank", "noopener");
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
