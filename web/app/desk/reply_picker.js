/** Quick replies above the composer: found by typing, chosen by Enter, put into the draft and not sent. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Link } from "../router.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { Failed, Skeleton } from "../ui/load.js";
import { useQuickReplies } from "./quick_replies.js";

/** @param {{onPick: (text: string) => void, onClose: () => void}} props */
export function ReplyPicker({ onPick, onClose }) {
  const id = useId();
  const { data, error, reload } = useQuickReplies();
  const [sought, setSought] = useState("");
  const [place, setPlace] = useState(0);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => field.current?.focus(), []);
  useEffect(() => {
    const onPointer = (/** @type {Event} */ event) => {
      const target = /** @type {Element} */ (event.target);
      if (!box.current?.contains(target) && !target.closest("[data-action=replies]")) onClose();
    };
    addEventListener("pointerdown", onPointer);
    return () => removeEventListener("pointerdown", onPointer);
  }, []);
  useEffect(() => box.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" }), [place]);
  const words = sought.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const found = (data ?? []).filter((one) => words.every((word) => `${one.title} ${one.text}`.toLocaleLowerCase().includes(word)));
  const at = Math.min(place, found.length - 1);
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.altKey || event.isComposing) return;
    if (event.key === "Escape") onClose();
    else if (event.key === "Enter" && found[at]) onPick(found[at].text);
    else if (event.key === "/" && sought === "") onPick("/");
    else if (step !== undefined && found.length > 0) setPlace((at + step + found.length) % found.length);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`
    <div class="picker" ref=${box} role="group" aria-label=${t("desk.replies")} onKeyDown=${onKey}>
      <div class="picker-head">
        <input
          ref=${field}
          class="input"
          role="combobox"
          aria-label=${t("desk.replies.search")}
          aria-expanded="true"
          aria-controls=${id}
          aria-activedescendant=${at >= 0 ? `${id}-${at}` : undefined}
          placeholder=${t("desk.replies.search")}
          autocomplete="off"
          value=${sought}
          onInput=${(/** @type {any} */ event) => {
            setSought(event.target.value);
            setPlace(0);
          }}
        />
        <${Button} kind="quiet" icon="close" label=${t("app.close")} onPress=${onClose} />
      </div>
      ${data === undefined && (error ? html`<${Failed} error=${error} onRetry=${reload} />` : html`<${Skeleton} rows=${2} />`)}
      ${data !== undefined && found.length === 0 && html`<p class="picker-none small soft">${t(data.length === 0 ? "desk.replies.none" : "desk.replies.notFound")}</p>`}
      <ul id=${id} role="listbox" aria-label=${t("desk.replies")} hidden=${found.length === 0}>
        ${found.map(
          (one, index) => html`
            <li key=${one.id} id=${`${id}-${index}`} role="option" aria-selected=${index === at} onClick=${() => onPick(one.text)}>
              <strong class="ellipsis" dir="auto">${one.title}</strong>
              <span class="small soft picker-text" dir="auto">${one.text}</span>
            </li>
          `,
        )}
      </ul>
      <p class="picker-foot tiny"><${Link} to="/replies">${t("desk.replies.manage")}<//></p>
    </div>
  `;
}
