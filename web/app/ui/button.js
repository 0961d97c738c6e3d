/** Buttons that cannot be pressed twice, and say what they are doing. */
import { useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { Icon } from "./icon.js";

/**
 * @param {any} props what a button takes; `onPress` may be async: until it ends the button is busy. `kind`: primary, quiet,
 *   danger; `icon`: a sign before the words; `label`: the words of a button that shows a sign alone. One that is disabled
 *   keeps its place in the order of the focus: it may have become so under the reader's finger.
 */
export function Button({ kind = "", icon, label, onPress, children, disabled = false, type = "button", ...rest }) {
  const [isBusy, setBusy] = useState(false);
  const running = useRef(false);
  const press = async (/** @type {Event} */ event) => {
    if (disabled || running.current) {
      event.preventDefault();
      return;
    }
    if (!onPress) return;
    const work = onPress(event);
    if (!(work instanceof Promise)) return;
    running.current = true;
    setBusy(true);
    try {
      await work;
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  const alone = label !== undefined && !children;
  return html`
    <button
      type=${type}
      ...${rest}
      class=${`button ${kind} ${alone ? "icon" : ""} ${rest.class ?? ""}`}
      aria-label=${label}
      title=${alone ? label : rest.title}
      aria-busy=${isBusy || undefined}
      aria-disabled=${isBusy || disabled || undefined}
      onClick=${press}
    >
      ${icon && html`<${Icon} name=${icon} />`}${children}
    </button>
  `;
}
