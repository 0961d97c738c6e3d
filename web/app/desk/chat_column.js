/** One of the chats side by side. Whatever is pressed or focused in it brings it to the front. */
import { useRef, useState } from "preact/hooks";
import { ChatView } from "../chat/chat_view.js";
import { go } from "../router.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { useDesk } from "./live_chats.js";
import { ReplyPicker } from "./reply_picker.js";

/**
 * @param {object} props
 * @param {import("../../client/chat.js").Chat} props.chat
 * @param {boolean} props.isCurrent
 * @param {boolean} props.isShown
 * @param {boolean} props.isAlone the chat is the whole screen
 * @param {boolean} props.hasPanel
 * @param {() => void} props.onFront
 * @param {() => void} props.onPanel
 */
export function ChatColumn({ chat, isCurrent, isShown, isAlone, hasPanel, onFront, onPanel }) {
  const live = useDesk();
  const handle = live.handleOf(chat);
  const [isPicking, setPicking] = useState(false);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const field = event.target;
    if (event.key !== "/" || !(field instanceof HTMLTextAreaElement) || field.value !== "" || event.isComposing) return;
    event.preventDefault();
    setPicking(true);
  };
  const pick = (/** @type {string} */ text) => {
    setPicking(false);
    handle.insert(text);
  };
  const stop = () => {
    setPicking(false);
    box.current?.querySelector("textarea")?.focus();
  };
  const before = isAlone && html`<${Button} kind="quiet" icon="back" label=${t("app.back")} onPress=${() => go("/chats")} />`;
  const actions = isCurrent && html`<${Button} kind="quiet" icon="note" label=${t("desk.about")} aria-expanded=${hasPanel} data-action="panel" onPress=${onPanel} />`;
  const tools = html`<${Button} kind="quiet" icon="list" label=${t("desk.replies.pick")} aria-expanded=${isPicking} data-action="replies" onPress=${() => setPicking(!isPicking)} />`;
  return html`
    <div
      class=${`desk-column ${isCurrent ? "front" : ""}`}
      ref=${box}
      hidden=${!isShown}
      data-chat=${chat.id}
      aria-current=${isCurrent ? "true" : undefined}
      onFocusIn=${onFront}
      onPointerDown=${onFront}
      onKeyDown=${onKey}
    >
      <${ChatView} chat=${chat} isCurrent=${isCurrent} heading=${isAlone ? "h1" : "h2"} before=${before} actions=${actions} tools=${tools} handle=${handle} />
      ${isPicking && html`<${ReplyPicker} onPick=${pick} onClose=${stop} />`}
    </div>
  `;
}
