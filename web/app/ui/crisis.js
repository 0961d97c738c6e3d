/** Whom to turn to at once: kept on the device, so that it is there when nothing else is. */
import { signal } from "@preact/signals";
import { keep, language, read } from "../preferences.js";
import { settings } from "../settings.js";
import { t } from "../texts.js";
import { Button } from "./button.js";
import { Dialog } from "./dialog.js";
import { html } from "./html.js";
import { longDate } from "./time.js";

const KEPT = "contacts";

/** @returns {any[]} */
function known() {
  try {
    const kept = JSON.parse(read(KEPT) ?? "[]");
    if (Array.isArray(kept) && kept.length > 0) return kept;
  } catch {
    // What is kept is broken: the service's own serve.
  }
  return settings.crisisContacts ?? [];
}

const contacts = signal(known());
const isOpen = signal(false);

/**
 * Take in the contacts of the signed-in person's organisation.
 *
 * @param {import("../../client/api.js").Api} api
 * @param {() => boolean} isWanted whether it is still the same person
 */
export async function refreshContacts(api, isWanted) {
  try {
    const organization = await api.get("/organization");
    if (!isWanted()) return;
    contacts.value = organization.crisisContacts;
    keep(KEPT, JSON.stringify(organization.crisisContacts));
  } catch {
    // What is kept serves.
  }
}

/** Go back to the service's own: whose organisation has others is not for the next at this device to see. */
export function forgetContacts() {
  keep(KEPT, "[]");
  contacts.value = known();
}

/** In both languages, or in one text for both. @param {any} words */
const said = (words) => (typeof words === "object" && words !== null ? words[language.value] ?? words.id ?? words.en : words);

export const CrisisButton = () => html`
  <${Button} kind="quiet help" icon="help" onPress=${() => (isOpen.value = true)}>${t("help.open")}<//>
`;

/** The dialog; once a page. */
export function CrisisContacts() {
  if (!isOpen.value) return null;
  return html`
    <${Dialog} title=${t("help.title")} onClose=${() => (isOpen.value = false)}>
      <p>${t("help.text")}</p>
      ${contacts.value.length === 0 && html`<p>${t("help.none")}</p>`}
      <ul class="stack">
        ${contacts.value.map(
          (one) => html`
            <li key=${one.name} class="card stack-s">
              <h3>${one.name}</h3>
              ${one.text && html`<p class="small">${said(one.text)}</p>`}
              ${one.phone && html`<a class="button primary" href=${`tel:${one.phone.replace(/\s*(ext\.?|x)\s*/i, ",").replace(/[^+\d,]/g, "")}`}>${t("help.call", { phone: one.phone })}</a>`}
              ${one.url && html`<a class="button" href=${one.url} target="_blank" rel="noreferrer noopener">${one.url.replace(/^https?:\/\//, "").replace(/\/$/, "")}</a>`}
              ${one.hours && html`<p class="tiny soft">${said(one.hours)}</p>`}
              ${one.reviewedAt && html`<p class="tiny soft">${t("help.reviewed", { date: longDate(one.reviewedAt, "UTC") })}</p>`}
            </li>
          `,
        )}
      </ul>
    <//>
  `;
}
