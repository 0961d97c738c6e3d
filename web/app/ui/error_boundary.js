/** What a page shows when its own code fails. What was typed is kept by then, and comes back. */
import { Component } from "preact";
import { t } from "../texts.js";
import { Button } from "./button.js";
import { html } from "./html.js";

export class ErrorBoundary extends Component {
  /** @type {{error: any}} */
  state = { error: null };

  /** @param {any} error */
  static getDerivedStateFromError(error) {
    return { error };
  }

  /** @param {any} error */
  componentDidCatch(error) {
    console.error(error);
  }

  render() {
    if (this.state.error === null) return /** @type {any} */ (this.props).children;
    return html`
      <div class="page">
        <div class="problem" role="alert">
          <h1>${t("app.crash")}</h1>
          <p>${t("app.crash.text")}</p>
          <${Button} icon="reload" onPress=${() => location.reload()}>${t("app.reload")}<//>
        </div>
      </div>
    `;
  }
}
