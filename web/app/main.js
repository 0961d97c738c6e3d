// The entry of the pages at /app.

import { html } from "./html.js";
import { render } from "preact";
import { ApiError } from "../client/api.js";

const settings = JSON.parse(document.getElementById("settings").textContent);

render(html`<p data-ready=${typeof ApiError === "function"}>rdchat ${settings.version}</p>`, document.getElementById("app"));
