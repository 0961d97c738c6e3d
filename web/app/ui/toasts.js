/** Short words about what has happened, one at a time. Errors stay until they are closed. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { errorText, t } from "../texts.js";
import { Button } from "./button.js";
import { html } from "./html.js";

const SHOWN_MS = 6_000;
/** @type {import("@preact/signals").Signal<{text: string, stays: boolean, requestId: string} | null>} */
const shown = signal(null);

/** @param {string} text */
export function say(text) {
  shown.value = { text, stays: false, requestId: "" };
}

/** @param {any} error */
export function sayError(error) {
  shown.value = { text: errorText(error), stays: true, requestId: error?.status >= 500 ? error.requestId : "" };
}

/**
 * Do something, and say so if it fails.
 *
 * @param {() => Promise<any>} work
 * @returns {Promise<any>} its value; undefined if it failed
 */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    sayError(error);
    return undefined;
  }
}

/** Show nothing any more, as when the one who was told has left. */
export function silence() {
  shown.value = null;
}

export function Toasts() {
  const toast = shown.value;
  useEffect(() => {
    if (toast === null || toast.stays) return undefined;
    const timer = setTimeout(() => {
      if (shown.value === toast && !document.querySelector(".toast:focus-within")) shown.value = null;
    }, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [toast]);
  return html`
    <div class="toasts" role=${toast?.stays ? "alert" : "status"}>
      ${toast !== null &&
      html`
        <div class="toast">
          <span>${toast.text}${toast.requestId && html` <span class="tiny">${t("app.request", { id: toast.requestId })}</span>`}</span>
          <${Button} kind="quiet" icon="close" label=${t("app.close")} onPress=${() => (shown.value = null)} />
        </div>
      `}
    </div>
  `;
}
