/** Asks before a counselling is cancelled, and for the reason. */
import { useState } from "preact/hooks";
import { t } from "../texts.js";
import { calledName } from "../ui/avatar.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { Field } from "../ui/field.js";
import { html } from "../ui/html.js";
import { Failed } from "../ui/load.js";
import { say } from "../ui/toasts.js";
import { deadlineOf, inSentence, whenOf } from "./counselings.js";
import { api } from "./live.js";

/** What the API takes. */
const LONGEST_REASON = 500;

/** @param {{counseling: any, now: number, onClose: () => void, onDone: () => Promise<void>}} props */
export function CancelDialog({ counseling, now, onClose, onDone }) {
  const [reason, setReason] = useState("");
  const [error, setError] = useState(/** @type {any} */ (null));
  const name = calledName(counseling.psychologist.fullName);
  const cancel = async () => {
    setError(null);
    try {
      await api().put(`/counselings/${counseling.id}/cancel`, { body: { reason: reason.trim() || null } });
    } catch (failure) {
      setError(failure);
      return;
    }
    onClose();
    say(t("cancel.done"));
    await onDone();
  };
  return html`
    <${Dialog} title=${t("cancel.title")} onClose=${onClose}>
      <p>${t("cancel.text", { when: inSentence(whenOf(counseling, now)), name })}</p>
      <p class="small soft">${deadlineOf(counseling).words(now)}</p>
      <${Field} as="textarea" label=${t("cancel.reason")} hint=${t("cancel.reason.hint", { name })} maxlength=${LONGEST_REASON} rows="3" dir="auto" value=${reason} onInput=${(/** @type {any} */ event) => setReason(event.target.value)} />
      ${error && html`<${Failed} error=${error} onRetry=${cancel} />`}
      <div class="actions">
        <${Button} onPress=${onClose}>${t("cancel.keep")}<//>
        <${Button} kind="danger" onPress=${cancel}>${t("client.cancel")}<//>
      </div>
    <//>
  `;
}
