/** The zone that times to book are shown in: the device's own, until another is chosen. */
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { Field } from "../ui/field.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";
import { ownZone } from "../ui/time.js";
import { zoneName } from "./counselings.js";

/** The usual one, where the service does not know the device's. */
const USUAL = "Asia/Jakarta";
/** By the names that people in Indonesia use for them. */
const INDONESIA = { "Asia/Jakarta": "WIB", "Asia/Makassar": "WITA", "Asia/Jayapura": "WIT" };

export const zone = signal(ownZone);

/**
 * Take the usual zone if it is the zone that the service has refused.
 *
 * @param {any} error
 * @returns {boolean} whether it was, so that asking again helps
 */
export function leaveUnknownZone(error) {
  if (!error?.errors?.timezone || zone.value === USUAL) return false;
  zone.value = USUAL;
  return true;
}

/** @param {string} one */
const described = (one) => (one in INDONESIA ? `${zoneName(one)} (${INDONESIA[/** @type {keyof typeof INDONESIA} */ (one)]})` : zoneName(one));

/** Says the zone, and lets it be changed. */
export function ZoneChoice() {
  const [isOpen, setOpen] = useState(false);
  if (!isOpen) {
    return html`
      <p class="zone small"><${Icon} name="clock" /><span>${t("book.zone")}: <strong>${described(zone.value)}</strong></span>
        <${Button} kind="quiet" onPress=${() => setOpen(true)}>${t("book.zone.change")}<//>
      </p>
    `;
  }
  const all = Intl.supportedValuesOf?.("timeZone") ?? [];
  const choose = (/** @type {any} */ event) => {
    zone.value = event.target.value;
    setOpen(false);
  };
  return html`
    <${Field} as="select" label=${t("book.zone")} value=${zone.value} onChange=${choose} autofocus>
      <option value=${ownZone}>${t("book.zone.own", { zone: described(ownZone) })}</option>
      <optgroup label=${t("book.zone.indonesia")}>${Object.keys(INDONESIA).map((one) => one !== ownZone && html`<option key=${one} value=${one}>${described(one)}</option>`)}</optgroup>
      <optgroup label=${t("book.zone.all")}>${all.map((one) => one !== ownZone && !(one in INDONESIA) && html`<option key=${one} value=${one}>${zoneName(one)}</option>`)}</optgroup>
    <//>
  `;
}
