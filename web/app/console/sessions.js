/** Sessions, by state, psychologist, client and time. */
import { useState } from "preact/hooks";
import { go, Link, query } from "../router.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { Field } from "../ui/field.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";
import { Empty, useLoad } from "../ui/load.js";
import { ownZone, shortDate, span } from "../ui/time.js";
import { api, Pages, usePages } from "./pages.js";
import { Screen } from "./screen.js";
import { EndReason, Status, STATUSES } from "./status.js";

const FILTERS = ["status", "psychologistId", "clientId", "from", "to"];
const MOST_PAGES = 10;

/** All psychologists that can be booked, by name. @param {AbortSignal} signal */
async function listPsychologists(signal) {
  /** @type {any[]} */
  const all = [];
  let cursor = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const { data, nextCursor } = await api().get("/psychologists", { query: { limit: 100, cursor }, signal });
    all.push(...data);
    cursor = nextCursor;
    if (cursor === null) break;
  }
  return all;
}

export function Sessions() {
  const asked = Object.fromEntries(FILTERS.map((name) => [name, query.value[name] || undefined]));
  const pages = usePages("/chat/sessions", { ...asked, timezone: ownZone });
  const isFiltered = FILTERS.some((name) => asked[name]);
  const empty = html`
    <${Empty} icon="list">
      <p>${t(isFiltered ? "console.sessions.noneSo" : "console.sessions.none")}</p>
      ${isFiltered && html`<${Button} onPress=${() => go("/sessions")}>${t("console.filter.clear")}<//>`}
    <//>
  `;
  const wrong = pages.error?.code === "VALIDATION_FAILED" ? pages.error.errors : {};
  const isRefused = Object.keys(wrong).some((name) => FILTERS.includes(name));
  return html`
    <${Screen} title=${t("console.sessions")} actions=${html`<${Button} icon="reload" onPress=${pages.reload}>${t("console.reload")}<//>`}>
      <${Filters} key=${JSON.stringify(asked)} asked=${asked} wrong=${wrong} isFiltered=${isFiltered} />
      ${!isRefused && html`<${Pages} pages=${pages} empty=${empty}>${(/** @type {any[]} */ rows) => html`<${List} rows=${rows} />`}<//>`}
    <//>
  `;
}

/** @param {{asked: Record<string, string | undefined>, wrong: Record<string, string[]>, isFiltered: boolean}} props */
function Filters({ asked, wrong, isFiltered }) {
  const { data: psychologists } = useLoad(listPsychologists, []);
  const [chosen, setChosen] = useState(asked);
  const set = (/** @type {string} */ name) => (/** @type {any} */ event) => setChosen({ ...chosen, [name]: event.target.value.trim() || undefined });
  const apply = (/** @type {Event} */ event) => {
    event.preventDefault();
    const said = Object.entries(chosen).filter(([, value]) => value);
    go(`/sessions${said.length ? `?${new URLSearchParams(/** @type {any} */ (said))}` : ""}`);
  };
  const isKnown = psychologists?.some((one) => one.id === chosen.psychologistId);
  return html`
    <form class="filters" onSubmit=${apply} aria-label=${t("console.filter")} role="search">
      <${Field} label=${t("console.status")} as="select" value=${chosen.status ?? ""} onChange=${set("status")} wrong=${wrong.status}>
        <option value="">${t("console.all")}</option>
        ${STATUSES.map((one) => html`<option key=${one} value=${one} selected=${chosen.status === one}>${t(`status.${one}`)}</option>`)}
      <//>
      <${Field} label=${t("console.psychologist")} as="select" value=${chosen.psychologistId ?? ""} onChange=${set("psychologistId")} wrong=${wrong.psychologistId}>
        <option value="">${t("console.all")}</option>
        ${chosen.psychologistId && !isKnown && html`<option value=${chosen.psychologistId} selected>${chosen.psychologistId}</option>`}
        ${psychologists?.map((one) => html`<option key=${one.id} value=${one.id} selected=${chosen.psychologistId === one.id}>${one.fullName}</option>`)}
      <//>
      <div class="wide-field"><${Field} label=${t("console.clientId")} value=${chosen.clientId ?? ""} onInput=${set("clientId")} wrong=${wrong.clientId && t("console.clientId.wrong")} spellcheck="false" autocomplete="off" /></div>
      <${Field} label=${t("console.from")} type="date" value=${chosen.from ?? ""} onInput=${set("from")} wrong=${wrong.from && t("console.day.wrong")} />
      <${Field} label=${t("console.to")} type="date" value=${chosen.to ?? ""} onInput=${set("to")} wrong=${wrong.to && t("console.day.wrong")} />
      <div class="row filters-do">
        <${Button} kind="primary" type="submit">${t("console.filter.apply")}<//>
        ${isFiltered && html`<${Button} kind="quiet" onPress=${() => go("/sessions")}>${t("console.filter.clear")}<//>`}
      </div>
    </form>
  `;
}

/** @param {{rows: any[]}} props */
const List = ({ rows }) => html`
  <ul class="card list sessions">
    ${rows.map((one) => html`
      <li key=${one.id}>
        <${Link} to=${`/sessions/${one.id}`} class="list-link session-row" data-session=${one.id}>
          <span class="numbers when"><span>${shortDate(one.scheduledAt)}</span><span class="soft small">${span(one.scheduledAt, one.endsAt)}</span></span>
          <span class="people"><strong class="ellipsis">${one.psychologist.fullName}</strong><span class="small soft ellipsis">${one.client.fullName}</span></span>
          <span class="how"><${Status} status=${one.status} />${one.endReason && html`<span class="tiny soft"><${EndReason} reason=${one.endReason} /></span>`}</span>
          <${Icon} name="right" />
        <//>
      </li>
    `)}
  </ul>
`;
