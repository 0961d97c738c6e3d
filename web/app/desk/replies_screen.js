/** Quick replies: keep, change, put in order, delete. */
import { useState } from "preact/hooks";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { confirm, Dialog } from "../ui/dialog.js";
import { Field } from "../ui/field.js";
import { html } from "../ui/html.js";
import { Empty, Failed, Skeleton } from "../ui/load.js";
import { attempt, say, sayError } from "../ui/toasts.js";
import { DeskFrame } from "./desk_frame.js";
import { deleteReply, saveReply, useQuickReplies } from "./quick_replies.js";

/** @typedef {import("./quick_replies.js").QuickReply} QuickReply */

const MOST = 50;

export function RepliesScreen() {
  const { data, error, reload } = useQuickReplies();
  const [edited, setEdited] = useState(/** @type {Partial<QuickReply> | null} */ (null));
  const remove = async (/** @type {QuickReply} */ reply) => {
    if (!(await confirm({ title: t("replies.delete.ask"), text: t("replies.delete.text", { title: reply.title }), verb: t("replies.delete"), danger: true }))) return;
    await attempt(() => deleteReply(reply.id));
  };
  const move = (/** @type {QuickReply} */ reply, /** @type {number} */ position) => attempt(() => saveReply({ id: reply.id, position }));
  const isFull = data !== undefined && data.length >= MOST;
  return html`
    <${DeskFrame} title=${t("desk.replies")}>
      <div class="page">
        <div class="stack-s">
          <div class="row-between"><h1>${t("desk.replies")}</h1>${data !== undefined && !isFull && html`<${Button} kind="primary" icon="plus" onPress=${() => setEdited({})}>${t("replies.add")}<//>`}</div>
          <p class="soft">${t("replies.text")}</p>
          ${isFull && html`<p class="notice">${t("replies.full", { n: MOST })}</p>`}
        </div>
        ${data === undefined && (error ? html`<${Failed} error=${error} onRetry=${reload} />` : html`<${Skeleton} />`)}
        ${data?.length === 0 && html`<${Empty} icon="list"><p>${t("replies.none")}</p><//>`}
        ${data !== undefined &&
        data.length > 0 &&
        html`
          <ol class="card list replies">
            ${data.map(
              (reply, place) => html`
                <li key=${reply.id} class="reply" data-reply=${reply.id}>
                  <div class="grow"><h2 class="reply-title" dir="auto">${reply.title}</h2><p class="small soft reply-text" dir="auto">${reply.text}</p></div>
                  <div class="reply-tools">
                    <${Button} kind="quiet" icon="up" label=${t("replies.up", { title: reply.title })} disabled=${place === 0} onPress=${() => move(reply, place)} />
                    <${Button} kind="quiet" icon="down" label=${t("replies.down", { title: reply.title })} disabled=${place === data.length - 1} onPress=${() => move(reply, place + 2)} />
                    <${Button} kind="quiet" icon="edit" label=${t("replies.change", { title: reply.title })} onPress=${() => setEdited(reply)} />
                    <${Button} kind="quiet" icon="trash" label=${t("replies.delete.one", { title: reply.title })} onPress=${() => remove(reply)} />
                  </div>
                </li>
              `,
            )}
          </ol>
        `}
        ${edited !== null && html`<${Editor} reply=${edited} onClose=${() => setEdited(null)} />`}
      </div>
    <//>
  `;
}

/** @param {{reply: Partial<QuickReply>, onClose: () => void}} props */
function Editor({ reply, onClose }) {
  const [title, setTitle] = useState(reply.title ?? "");
  const [text, setText] = useState(reply.text ?? "");
  const [wrong, setWrong] = useState(/** @type {Record<string, string[]>} */ ({}));
  const isChanged = title !== (reply.title ?? "") || text !== (reply.text ?? "");
  const close = async () => {
    if (!isChanged || (await confirm({ title: t("replies.leave"), text: t("replies.leave.text"), verb: t("replies.leave.verb"), danger: true }))) onClose();
  };
  const save = async () => {
    const missing = Object.fromEntries([["title", title], ["text", text]].filter(([, said]) => said.trim() === "").map(([name]) => [name, [t("replies.missing")]]));
    setWrong(missing);
    if (Object.keys(missing).length > 0) return;
    try {
      await saveReply({ id: reply.id, title: title.trim(), text: text.trim() });
      say(t("app.saved"));
      onClose();
    } catch (error) {
      sayError(error);
    }
  };
  return html`
    <${Dialog} title=${t(reply.id ? "replies.change.title" : "replies.add")} onClose=${close}>
      <form class="stack" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
        <${Field} label=${t("replies.title")} hint=${t("replies.title.hint")} maxlength="60" wrong=${wrong.title} value=${title} onInput=${(/** @type {any} */ event) => setTitle(event.target.value)} autofocus />
        <${Field} label=${t("replies.body")} as="textarea" rows="5" dir="auto" maxlength="2000" wrong=${wrong.text} value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
        <div class="actions"><${Button} onPress=${close}>${t("app.cancel")}<//><${Button} type="submit" kind="primary" onPress=${save}>${t("app.save")}<//></div>
      </form>
    <//>
  `;
}
