/** Counsellings in the reader's own calendar: one as a file, all by a link. */
import { useState } from "preact/hooks";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { download } from "../ui/download.js";
import { Field } from "../ui/field.js";
import { html } from "../ui/html.js";
import { attempt, say } from "../ui/toasts.js";
import { api } from "./live.js";

/** @param {string} ics */
const saveCalendarFile = (ics) => download(new Blob([ics], { type: "text/calendar" }), "sesi.ics");

/** @param {{ics: string}} props */
export const AddToCalendar = ({ ics }) => html`<${Button} icon="calendar" onPress=${() => saveCalendarFile(ics)}>${t("calendar.add")}<//>`;

/** A button that opens what makes, shows and revokes the link. */
export function CalendarFeed() {
  const [isOpen, setOpen] = useState(false);
  return html`
    <div><${Button} kind="quiet" class="flush" icon="calendar" onPress=${() => setOpen(true)}>${t("calendar.feed")}<//></div>
    ${isOpen && html`<${FeedDialog} onClose=${() => setOpen(false)} />`}
  `;
}

/** @param {{onClose: () => void}} props */
function FeedDialog({ onClose }) {
  const [url, setUrl] = useState("");
  const create = () => attempt(async () => setUrl((await api().put("/calendar")).url));
  const copy = () =>
    navigator.clipboard?.writeText(url).then(
      () => say(t("calendar.copied")),
      () => /** @type {HTMLInputElement | null} */ (document.querySelector("[data-calendar-link]"))?.select(),
    );
  const revoke = () =>
    attempt(async () => {
      await api().delete("/calendar");
      say(t("calendar.revoked"));
      onClose();
    });
  return html`
    <${Dialog} title=${t("calendar.feed")} onClose=${onClose}>
      <p>${t("calendar.feed.text")}</p>
      ${url
        ? html`
            <${Field} label=${t("calendar.link")} hint=${t("calendar.link.hint")} value=${url} readonly data-calendar-link onFocus=${(/** @type {any} */ event) => event.target.select()} />
            <div class="actions"><${Button} kind="primary" onPress=${copy}>${t("calendar.copy")}<//></div>
          `
        : html`
            <p class="small soft">${t("calendar.feed.replace")}</p>
            <div class="actions">
              <${Button} kind="quiet" onPress=${revoke}>${t("calendar.revoke")}<//>
              <${Button} kind="primary" onPress=${create}>${t("calendar.create")}<//>
            </div>
          `}
    <//>
  `;
}
