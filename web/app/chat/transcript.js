/** Keeping the conversation: as a text file, or as a page to read and print. */
import { identity } from "../identity.js";
import { addressOfFile, download } from "../ui/download.js";

/** @param {string} sessionId @param {"txt" | "html"} format @returns {Promise<Blob>} */
async function fetchTranscript(sessionId, format) {
  const api = /** @type {import("../../client/api.js").Api} */ (identity.value?.api);
  return api.getFile(`/chat/sessions/${sessionId}/transcript`, { query: { format } });
}

/** @param {string} sessionId */
export async function saveTranscript(sessionId) {
  download(await fetchTranscript(sessionId, "txt"), "transcript.txt");
}

/** @param {string} sessionId */
export async function showTranscript(sessionId) {
  open(addressOfFile(await fetchTranscript(sessionId, "html")), "_blank", "noopener");
}
