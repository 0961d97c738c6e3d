/** What those have changed who run or oversee the service: when, who, what, and what became of it. */
import { identity } from "../identity.js";
import { Link } from "../router.js";
import { hasText, t } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { Empty } from "../ui/load.js";
import { moment, shortId } from "./figures.js";
import { Pages, usePages } from "./pages.js";
import { Back, Screen } from "./screen.js";

export function Actions() {
  const pages = usePages("/operations/actions");
  return html`
    <${Screen} title=${t("console.actions")} before=${html`<${Back} to="/dead-letters" />`} hint=${t("console.actions.hint")} actions=${html`<${Button} icon="reload" onPress=${pages.reload}>${t("console.reload")}<//>`}>
      <${Pages} pages=${pages} empty=${html`<${Empty} icon="list"><p>${t("console.actions.none")}</p><//>`}>${(/** @type {any[]} */ rows) => html`<${List} rows=${rows} />`}<//>
    <//>
  `;
}

/** @param {{rows: any[]}} props */
function List({ rows }) {
  const now = identity.value?.rdchat.clock.now() ?? 0;
  return html`
    <ul class="card list lines">
      ${rows.map((one) => html`
        <li key=${one.id} class="line" data-action=${one.action}>
          <div class="grow stack-xs">
            <strong>${t(`action.${one.action}`)}${one.detail ? `: ${detailOf(one.detail)}` : ""}</strong>
            <span class="small">${one.actor?.fullName || t("console.actions.command")} · <${Subject} subject=${one.subject} /></span>
            <span class="tiny soft numbers">${moment(one.at, now)}${one.requestId && ` · ${t("app.request", { id: one.requestId })}`}</span>
          </div>
          <${Outcome} outcome=${one.outcome} />
        </li>
      `)}
    </ul>
  `;
}

/** @param {string} detail */
const detailOf = (detail) => (hasText(`trigger.${detail}`) ? t(`trigger.${detail}`) : detail);

/** @param {{subject: {type: string, id: string}}} props */
function Subject({ subject }) {
  const words = `${t(`console.subject.${subject.type}`)} ${shortId(subject.id)}`;
  return subject.type === "session" ? html`<${Link} to=${`/sessions/${subject.id}`}>${words}<//>` : words;
}

/** @param {{outcome: string}} props */
function Outcome({ outcome }) {
  if (outcome === "done") return html`<span class="mark good">${t("console.outcome.done")}</span>`;
  if (outcome === "begun") return html`<span class="mark warn">${t("console.outcome.begun")}</span>`;
  return html`<span class="mark bad">${t("console.outcome.refused", { code: outcome })}</span>`;
}
