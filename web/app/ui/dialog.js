/** Dialogs: the browser's own, so that focus, Escape and readers work as people know it. */
import { signal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import { t } from "../texts.js";
import { Button } from "./button.js";
import { html } from "./html.js";

/**
 * @param {{title: string, onClose: () => void, children?: any, wide?: boolean}} props
 */
export function Dialog({ title, onClose, children }) {
  const id = useId();
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const dialog = box.current;
    const before = document.activeElement;
    if (dialog && !dialog.open) dialog.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const onBackdrop = (/** @type {MouseEvent} */ event) => {
    if (event.target === box.current) onClose();
  };
  return html`
    <dialog ref=${box} class="dialog" aria-labelledby=${id} onClick=${onBackdrop} onCancel=${(/** @type {Event} */ event) => {
      event.preventDefault();
      onClose();
    }}>
      <header>
        <h2 id=${id}>${title}</h2>
        <${Button} kind="quiet" icon="close" label=${t("app.close")} onPress=${onClose} />
      </header>
      <div class="body">${children}</div>
    </dialog>
  `;
}

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text what will happen
 * @property {string} verb the words of the button that does it
 * @property {boolean} [danger]
 * @property {(yes: boolean) => void} answer
 */

/** @type {import("@preact/signals").Signal<Question | null>} */
const question = signal(null);

/**
 * Ask before something that cannot be undone.
 *
 * @param {Omit<Question, "answer">} asked
 * @returns {Promise<boolean>}
 */
export function confirm(asked) {
  question.value?.answer(false);
  return new Promise((resolve) => {
    const answer = (/** @type {boolean} */ yes) => {
      question.value = null;
      resolve(yes);
    };
    question.value = { ...asked, answer };
  });
}

/** Take a question back, as when the one who was asked has left. */
export const takeBack = () => question.value?.answer(false);

/** Where questions appear; once a page. */
export function Questions() {
  const asked = question.value;
  if (asked === null) return null;
  return html`
    <${Dialog} title=${asked.title} onClose=${() => asked.answer(false)}>
      <p>${asked.text}</p>
      <div class="actions">
        <${Button} onPress=${() => asked.answer(false)} autofocus>${t("app.cancel")}<//>
        <${Button} kind=${asked.danger ? "danger" : "primary"} onPress=${() => asked.answer(true)}>${asked.verb}<//>
      </div>
    <//>
  `;
}
