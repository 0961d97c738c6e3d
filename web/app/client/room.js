/** The client's page: what is ahead, booking, and the chat. */
import { parts } from "../router.js";
import { addStyle } from "../style.js";
import { html } from "../ui/html.js";
import { ChatScreen } from "./chat_screen.js";
import { Home } from "./home.js";
import "./texts.js";

await Promise.all([addStyle(new URL("../chat/chat.css", import.meta.url).href), addStyle(new URL("client.css", import.meta.url).href)]);

export function Room() {
  const [first, second] = parts.value;
  if (first === "chat" && second) return html`<${ChatScreen} key=${second} sessionId=${second} />`;
  return html`<${Home} />`;
}
