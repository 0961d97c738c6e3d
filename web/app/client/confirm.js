/** What is about to be booked, how they meet, with whom, and what the psychologist may know before. */
import { useState } from "preact/hooks";
import { identity } from "../identity.js";
import { go } from "../router.js";
import { errorText, t } from "../texts.js";
import { Avatar } from "../ui/avatar.js";
import { Button } from "../ui/button.js";
import { Field } from "../ui/field.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";
import { dayName, span } from "../ui/time.js";
import { ClientFrame } from "./client_frame.js";
import { zoneName } from "./counselings.js";
import { zone } from "./zones.js";

const METHODS = ["chat", "online", "offline", "organization"];
/** What the API takes, and from where on it is said how much is left. */
const LONGEST_NOTES = 2000;
const NEARLY = 200;

/**
 * @param {object} props
 * @param {import("./times.js").Slot} props.slot
 * @param {string} props.chosenId the psychologist who was chosen before the time; "" for any
 * @param {string} props.notes
 * @param {(text: string) => void} props.onNotes
 * @param {(how: {method: string, psychologistId: string}) => Promise<void>} props.onBook
 */
export function Confirm({ slot, chosenId, notes, onNotes, onBook }) {
  const [method, setMethod] = useState("chat");
  const [withWhom, setWithWhom] = useState(chosenId);
  const [error, setError] = useState(/** @type {any} */ (null));
  const now = /** @type {any} */ (identity.value).rdchat.clock.now();
  const fixed = slot.psychologists.find((one) => one.id === chosenId) ?? (slot.psychologists.length === 1 ? slot.psychologists[0] : undefined);
  const left = LONGEST_NOTES - [...notes].length;
  const submit = async () => {
    setError(null);
    try {
      await onBook({ method, psychologistId: fixed?.id ?? withWhom });
    } catch (failure) {
      setError(failure);
    }
  };
  const choice = (/** @type {any} */ { name, value, current, onChoose, words, hint, sign }) => html`
    <label class="choice option" key=${value}>
      <input type="radio" name=${name} value=${value} checked=${current === value} onChange=${() => onChoose(value)} />
      ${sign}<span class="grow"><span class="option-words" dir="auto">${words}</span>${hint && html`<span class="small soft">${hint}</span>`}</span>
    </label>
  `;
  return html`
    <${ClientFrame} title=${t("book.confirm")}>
      <h1>${t("book.confirm")}</h1>
      <section class="card summary">
        <p class="summary-when">${dayName(slot.startsAt, now, zone.value)}, ${span(slot.startsAt, slot.endsAt, zone.value)}</p>
        <p class="small soft">${t("client.zone", { zone: zoneName(zone.value) })}</p>
        ${fixed && html`<p class="row"><${Avatar} person=${fixed} small /><span class="grow" dir="auto">${fixed.fullName}</span></p>`}
        <div><${Button} kind="quiet" class="flush" icon="back" onPress=${() => history.back()}>${t("book.other")}<//></div>
      </section>
      ${!fixed &&
      html`<fieldset class="field">
        <legend>${t("book.choose")}</legend>
        <div class="card options">
          ${choice({ name: "psychologist", value: "", current: withWhom, onChoose: setWithWhom, words: t("book.anyone"), hint: t("book.choose.anyone"), sign: html`<span class="avatar small"><${Icon} name="people" /></span>` })}
          ${slot.psychologists.map((one) => choice({ name: "psychologist", value: one.id, current: withWhom, onChoose: setWithWhom, words: one.fullName, sign: html`<${Avatar} person=${one} small />` }))}
        </div>
      </fieldset>`}
      <fieldset class="field">
        <legend>${t("book.how")}</legend>
        <div class="card options">${METHODS.map((one) => choice({ name: "method", value: one, current: method, onChoose: setMethod, words: t(`method.${one}`), hint: t(`method.${one}.hint`) }))}</div>
      </fieldset>
      <div>
        <${Field} as="textarea" label=${t("book.notes")} hint=${t("book.notes.hint")} wrong=${error?.errors?.notes} value=${notes} maxlength=${LONGEST_NOTES} dir="auto" onInput=${(/** @type {any} */ event) => onNotes(event.target.value)} />
        ${left <= NEARLY && html`<p class="tiny soft numbers">${t("book.notes.left", { n: left })}</p>`}
      </div>
      ${error && html`<div class="problem" role="alert"><p>${errorText(error)}</p>${error.isTemporary && html`<p>${t("book.again")}</p>`}${error.requestId && error.status >= 500 && html`<p class="tiny">${t("app.request", { id: error.requestId })}</p>`}</div>`}
      <div class="row">
        <${Button} kind="primary" icon="check" onPress=${submit}>${error?.isTemporary ? t("app.retry") : t("book.do")}<//>
        <${Button} kind="quiet" onPress=${() => go("/")}>${t("app.cancel")}<//>
      </div>
    <//>
  `;
}
