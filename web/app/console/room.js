/** The console: how the service and its sessions are, for those who run or oversee it. Never a word of content. */
import { go, parts } from "../router.js";
import { settings } from "../settings.js";
import { addStyle } from "../style.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { Empty } from "../ui/load.js";
import { Actions } from "./actions.js";
import { DeadLetters } from "./dead_letters.js";
import { Overview } from "./overview.js";
import { Psychologists } from "./psychologists.js";
import { Report } from "./report.js";
import { SessionPage } from "./session.js";
import { Sessions } from "./sessions.js";
import { isAdmin, Screen } from "./screen.js";
import "./texts.js";

await Promise.all([
  addStyle(`${settings.static}/vendor/uplot/dist/uPlot.min.css`),
  addStyle(new URL("../diagram/diagram.css", import.meta.url).href),
  addStyle(new URL("console.css", import.meta.url).href),
]);

/** Screens for both roles, and those for administrators alone. @type {Record<string, any>} */
const SCREENS = { sessions: Sessions, report: Report };
/** @type {Record<string, any>} */
const OF_ADMINISTRATORS = { "dead-letters": DeadLetters, actions: Actions, psychologists: Psychologists };

export function Room() {
  const [first, second, ...more] = parts.value;
  if (first === undefined) return html`<${Overview} />`;
  if (first === "sessions" && second && more.length === 0) return html`<${SessionPage} key=${second} sessionId=${second} />`;
  const Chosen = second === undefined ? (SCREENS[first] ?? (isAdmin() ? OF_ADMINISTRATORS[first] : undefined)) : undefined;
  return Chosen ? html`<${Chosen} />` : html`<${Lost} />`;
}

const Lost = () => html`
  <${Screen} title=${t("app.notFound")}>
    <${Empty} icon="file"><${Button} onPress=${() => go("/", { replace: true })}>${t("app.toStart")}<//><//>
  <//>
`;
