/** Where one writes. The text is the chat's own draft: it can appear in no other, and comes back after a crash. */
import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { WrongChatError } from "../../client/rdchat.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { say, sayError } from "../ui/toasts.js";
import { Recorder } from "./recorder.js";
import { watch } from "./use_chat.js";

const LONGEST = 4096;
const LONGEST_CAPTION = 500;
const COUNTED_FROM = 3900;
/** As the service counts: by code points. @param {string} text */
const lengthOf = (text) => (text.length < COUNTED_FROM ? text.length : [...text].length);
const canRecord = () => typeof MediaRecorder !== "undefined" && navigator.mediaDevices !== undefined;
const hasKeyboard = () => matchMedia("(pointer: fine)").matches;

/**
 * @param {object} props
 * @param {import("../../client/chat.js").Chat} props.chat
 * @param {{insert: (text: string) => void} | null} [props.handle] is given the way to put a text in, as quick replies do
 * @param {any} [props.tools] further buttons
 */
export function Composer({ chat, handle, tools }) {
  watch(chat);
  const [, show] = useReducer((/** @type {number} */ times) => times + 1, 0);
  const [file, setFile] = useState(/** @type {File | null} */ (null));
  const [isRecording, setRecording] = useState(false);
  const area = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const chosen = useRef(/** @type {HTMLInputElement | null} */ (null));
  const text = chat.draft;
  const excess = lengthOf(text) - (file ? LONGEST_CAPTION : LONGEST);
  const isEmpty = text.trim() === "" && file === null;

  const write = (/** @type {string} */ next) => {
    chat.write(next);
    show(0);
  };
  if (handle) {
    handle.insert = (added) => {
      // Of the chat as it is now, not as it was drawn last.
      const before = chat.draft;
      write(before === "" ? added : `${before.replace(/\s*$/, "\n")}${added}`);
      area.current?.focus();
    };
  }
  // Where the browser does not grow a field by itself.
  useEffect(() => {
    const field = area.current;
    if (field === null || CSS.supports("field-sizing", "content")) return;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + 2}px`;
  }, [text]);

  const send = async (/** @type {Blob | null} */ blob = file, name = file?.name ?? "") => {
    if (blob === null && (isEmpty || excess > 0)) return;
    try {
      const sent = chat.send(blob !== null && blob !== file ? "" : text, blob, name);
      setFile(null);
      show(0);
      await sent;
    } catch (error) {
      // A recording too: it cannot be made again.
      if (blob !== null) setFile(blob instanceof File ? blob : new File([blob], name, { type: blob.type }));
      if (error instanceof WrongChatError) say(t("chat.wrong"));
      else sayError(error);
    }
    // Unless one has gone on elsewhere meanwhile, as to another chat at the desk.
    const focused = document.activeElement;
    if (focused === document.body || area.current?.form?.contains(focused)) area.current?.focus();
  };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.repeat || !hasKeyboard()) return;
    event.preventDefault();
    void send();
  };
  const onPaste = (/** @type {ClipboardEvent} */ event) => {
    const [pasted] = event.clipboardData?.files ?? [];
    if (pasted === undefined) return;
    event.preventDefault();
    setFile(pasted);
  };

  if (isRecording) {
    return html`<${Recorder} onDone=${(/** @type {Blob | null} */ blob, /** @type {string} */ name, /** @type {boolean} */ isWanted) => {
      setRecording(false);
      if (blob === null) return;
      if (isWanted) void send(blob, name);
      else setFile(new File([blob], name, { type: blob.type }));
    }} />`;
  }
  const remaining = -excess;
  return html`
    ${file !== null &&
    html`<div class="composer-note"><span class="ellipsis"><span dir="auto">${file.name}</span></span><${Button} kind="quiet" icon="close" label=${t("chat.file.remove")} onPress=${() => setFile(null)} /></div>`}
    ${excess > 0 && html`<p class="composer-note bad" role="alert">${file ? t("chat.caption.long") : t("chat.tooLong", { n: excess })}</p>`}
    ${excess <= 0 && lengthOf(text) >= COUNTED_FROM && html`<p class="composer-note">${t("chat.long", { n: remaining })}</p>`}
    <form class="composer" onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      void send();
    }}>
      <input type="file" hidden ref=${chosen} tabindex="-1" onChange=${(/** @type {any} */ event) => {
        setFile(event.target.files[0] ?? null);
        event.target.value = "";
        area.current?.focus();
      }} />
      <${Button} kind="quiet" icon="attach" label=${t("chat.attach")} onPress=${() => chosen.current?.click()} />
      ${tools}
      <textarea
        ref=${area}
        class="input"
        rows="1"
        dir="auto"
        aria-label=${file ? t("chat.caption") : t("chat.write")}
        placeholder=${file ? t("chat.caption") : t("chat.write")}
        title=${hasKeyboard() ? t("chat.write.hint") : undefined}
        enterkeyhint="enter"
        value=${text}
        onInput=${(/** @type {any} */ event) => write(event.target.value)}
        onKeyDown=${onKey}
        onPaste=${onPaste}
      ></textarea>
      ${isEmpty && canRecord()
        ? html`<${Button} kind="quiet" icon="microphone" label=${t("chat.record")} onPress=${() => setRecording(true)} />`
        : html`<${Button} type="submit" kind="primary" class="round" icon="send" label=${t("chat.send")} disabled=${isEmpty || excess > 0} />`}
    </form>
  `;
}
