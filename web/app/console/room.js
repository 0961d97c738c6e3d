/** The console: see docs/design.md. */
import { Frame } from "../ui/frame.js";
import { html } from "../ui/html.js";

export const Room = () => html`<${Frame} title=""><div class="page"></div><//>`;
