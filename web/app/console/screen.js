/** What every screen of the console has around it: the ways between them, its heading, and what can be done. */
import { identity } from "../identity.js";
import { go } from "../router.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { Frame } from "../ui/frame.js";
import { html } from "../ui/html.js";

export const isAdmin = () => identity.value?.me.role === "super_admin";

const nav = () => [
  { to: "/", words: t("console.overview"), icon: "chart" },
  { to: "/sessions", words: t("console.sessions"), icon: "chat", section: "/sessions" },
  ...(isAdmin() ? [{ to: "/dead-letters", words: t("console.dead"), icon: "warning" }] : []),
  { to: "/report", words: t("console.report"), icon: "file" },
  ...(isAdmin() ? [{ to: "/psychologists", words: t("console.psychologists"), icon: "people" }] : []),
];

/** The way back to the list that one came from. @param {{to: string}} props `to`: where to, if this page was opened on its own */
export const Back = ({ to }) => html`
  <div><${Button} kind="quiet" icon="back" class="back" onPress=${() => (history.length > 1 ? history.back() : go(to))}>${t("app.back")}<//></div>
`;

/**
 * @param {object} props
 * @param {string} props.title the heading, and of the window
 * @param {any} [props.heading] beside the heading's words, in it
 * @param {any} [props.before] above the heading, as a way back
 * @param {any} [props.hint] one line below it
 * @param {any} [props.actions]
 * @param {any} [props.children]
 */
export const Screen = ({ title, heading, before, hint, actions, children }) => html`
  <${Frame} title=${title} nav=${nav()}>
    <div class="page page-wide console">
      <header class="stack-s">
        ${before}
        <div class="row-between">
          <h1 class="grow">${title} ${heading}</h1>
          ${actions && html`<div class="row">${actions}</div>`}
        </div>
        ${hint && html`<div class="small soft">${hint}</div>`}
      </header>
      ${children}
    </div>
  <//>
`;
