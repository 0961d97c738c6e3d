/** Psychologists, and whether they can be booked. */
import { useState } from "preact/hooks";
import { Link } from "../router.js";
import { t } from "../texts.js";
import { Avatar } from "../ui/avatar.js";
import { Button } from "../ui/button.js";
import { confirm } from "../ui/dialog.js";
import { html } from "../ui/html.js";
import { Empty } from "../ui/load.js";
import { longDate, span } from "../ui/time.js";
import { attempt, say } from "../ui/toasts.js";
import { number } from "./figures.js";
import { api, Pages, usePages } from "./pages.js";
import { Screen } from "./screen.js";

export function Psychologists() {
  const pages = usePages("/psychologists");
  // The list has those alone that can be booked: what was changed here is kept, so that it can be taken back.
  const [changed, setChanged] = useState(/** @type {Record<string, any>} */ ({}));
  const change = async (/** @type {any} */ one) => {
    const verb = one.isActive ? "off" : "on";
    if (!(await confirm({ title: t(`console.${verb}.ask`, { name: one.fullName }), text: t(`console.${verb}.text`), verb: t(`console.${verb}`), danger: one.isActive }))) return;
    await attempt(async () => {
      const saved = await api().put(`/psychologists/${one.id}`, { body: { isActive: !one.isActive } });
      setChanged((before) => ({ ...before, [one.id]: saved }));
      say(t(`console.${verb}.done`, { name: saved.fullName }));
    });
  };
  return html`
    <${Screen} title=${t("console.psychologists")} hint=${t("console.psychologists.hint")} actions=${html`<${Link} to="/actions" class="button quiet">${t("console.actions")}<//>`}>
      <${Pages} pages=${pages} empty=${html`<${Empty} icon="people"><p>${t("console.psychologists.none")}</p><//>`}>
        ${(/** @type {any[]} */ rows) => html`<ul class="card list lines">${rows.map((one) => html`<${Row} key=${one.id} person=${changed[one.id] ?? one} change=${change} />`)}</ul>`}
      <//>
    <//>
  `;
}

/** @param {{person: any, change: (one: any) => Promise<void>}} props */
const Row = ({ person, change }) => html`
  <li class="line" data-psychologist=${person.id}>
    <${Avatar} person=${person} />
    <div class="grow stack-xs">
      <strong>${person.fullName}</strong>
      <span class="small soft">${person.timezone} · <${Link} to=${`/sessions?psychologistId=${person.id}`}>${t("console.sessions")}<//></span>
      ${person.affected?.length > 0 && html`<${Affected} counselings=${person.affected} />`}
    </div>
    <span class=${`mark ${person.isActive ? "good" : ""}`}>${t(person.isActive ? "console.bookable" : "console.unbookable")}</span>
    <${Button} label=${`${t(person.isActive ? "console.off" : "console.on")}: ${person.fullName}`} onPress=${() => change(person)}>${t(person.isActive ? "console.off" : "console.on")}<//>
  </li>
`;

/** What stays booked, and has to be seen to. @param {{counselings: any[]}} props */
const Affected = ({ counselings }) => html`
  <div class="notice stack-s" role="status">
    <p>${t("console.affected", { n: number(counselings.length) })}</p>
    <ul class="stack-xs">
      ${counselings.map((one) => html`<li key=${one.id} class="numbers">${longDate(one.startsAt)}, ${span(one.startsAt, one.endsAt)}${one.client && ` · ${one.client.fullName}`}</li>`)}
    </ul>
  </div>
`;
