/** What is ahead of a client, and what has been. */
import { t } from "../texts.js";
import { Frame } from "../ui/frame.js";
import { html } from "../ui/html.js";

export const Home = () => html`<${Frame} title=${t("client.sessions")}><div class="page"><h1>${t("client.sessions")}</h1></div><//>`;
