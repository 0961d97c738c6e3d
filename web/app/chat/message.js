/** One message: what it says, when it came, and whether it has arrived. */
import { Component } from "preact";
import { t, errorText } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";
import { clockTime } from "../ui/time.js";
import { AttachmentView, PendingFile } from "./attachment.js";

/** Shown again only when something of it is other: a long chat changes with every key of the other. */
class Steady extends Component {
  /** @param {any} next */
  shouldComponentUpdate(next) {
    const now = /** @type {any} */ (this.props);
    for (const name in next) if (next[name] !== now[name]) return true;
    return false;
  }

  /** @returns {any} */
  render() {
    return null;
  }
}

export class MessageItem extends Steady {
  render() {
    const { message, isMine, isFirst, isLast, isRead } = /** @type {any} */ (this.props);
    const { seq, isAutomated, attachment, createdAt, sender } = message;
    // No one has said it: it stands for a message that cannot be shown.
    const isSystem = message.messageType === "system";
    const kind = isAutomated || isSystem ? "automated" : isMine ? "mine" : "theirs";
    return html`
      <li class=${`message ${kind} ${isFirst ? "first" : ""}`} data-seq=${seq}>
        ${!isSystem && html`<span class="hidden-visually">${isMine ? t("chat.you") : sender.fullName}: </span>`}
        <div class="bubble" dir="auto">
          ${attachment && html`<${AttachmentView} attachment=${attachment} name=${sender.fullName} isMine=${isMine} />`}
          ${message.message && html`<div class=${attachment ? "caption" : ""} dir="auto">${message.message}</div>`}
        </div>
        ${(isLast || isAutomated) && !isSystem &&
        html`
          <div class="meta">
            ${isAutomated && html`<span>${t("chat.automated")} ·</span>`}
            <time datetime=${createdAt}>${clockTime(createdAt)}</time>
            ${isMine && !isAutomated && html`<span class=${isRead ? "read" : ""}><${Icon} name=${isRead ? "checks" : "check"} /><span class="hidden-visually">${t(isRead ? "chat.read" : "chat.sent")}</span></span>`}
          </div>
        `}
      </li>
    `;
  }
}

/** What is not confirmed yet. */
export class PendingItem extends Steady {
  render() {
    const { chat, pending } = /** @type {any} */ (this.props);
    const isRefused = pending.state === "refused";
    const isWaiting = pending.state === "waiting" && chat.state === "offline";
    return html`
      <li class=${`message mine first ${pending.state}`} data-pending=${pending.id}>
        <div class="bubble" dir="auto">
          ${pending.file && html`<${PendingFile} pending=${pending} />`}
          ${pending.text && html`<div dir="auto">${pending.text}</div>`}
        </div>
        ${isRefused
          ? html`
              <div class="refusal">
                <span>${t("chat.refused", { reason: errorText(pending) === t("error.other") ? pending.reason : errorText(pending) })}</span>
                ${chat.isOpen && html`<${Button} onPress=${() => chat.retry(pending.id)}>${t("app.retry")}<//>`}
                <${Button} kind="quiet" onPress=${() => chat.discard(pending.id)}>${t("chat.discard")}<//>
              </div>
            `
          : html`<div class="meta"><${Icon} name="clock" /><span>${t(isWaiting ? "chat.waiting" : "chat.sending")}</span></div>`}
      </li>
    `;
  }
}
