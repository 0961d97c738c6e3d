/** The client's chat, as a whole screen. */
import { ChatView } from "../chat/chat_view.js";
import { useChat } from "../chat/use_chat.js";
import { go } from "../router.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { Frame } from "../ui/frame.js";
import { html } from "../ui/html.js";
import { Failed, Skeleton } from "../ui/load.js";

/** @param {{sessionId: string}} props */
export function ChatScreen({ sessionId }) {
  const { chat, error, retry } = useChat(sessionId);
  const before = html`<${Button} kind="quiet" icon="back" label=${t("app.back")} onPress=${() => go("/")} />`;
  return html`
    <${Frame} title=${t("client.session")} full>
      ${chat !== null && html`<${ChatView} chat=${chat} before=${before} />`}
      ${chat === null && html`<div class="page"><div class="row">${before}<h1>${t("client.session")}</h1></div>${error ? html`<${Failed} error=${error} onRetry=${retry} />` : html`<${Skeleton} />`}</div>`}
    <//>
  `;
}
