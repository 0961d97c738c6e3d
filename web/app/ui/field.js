/** Fields with their label, their hint, and what is wrong with them. */
import { useId } from "preact/hooks";
import { html } from "./html.js";

/**
 * @param {any} props `label`, `hint`, `wrong` (a sentence, or several), and what an input takes; `as`: textarea or select
 */
export function Field({ label, hint, wrong, as = "input", children, ...rest }) {
  const id = useId();
  const sentence = Array.isArray(wrong) ? wrong.join(" ") : wrong;
  const described = [hint && `${id}-hint`, sentence && `${id}-wrong`].filter(Boolean).join(" ");
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <${as} id=${id} class="input" aria-invalid=${sentence ? "true" : undefined} aria-describedby=${described || undefined} ...${rest}>${children}<//>
      ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
      ${sentence && html`<p class="wrong" id=${`${id}-wrong`} role="alert">${sentence}</p>`}
    </div>
  `;
}

/**
 * A choice of few, side by side.
 *
 * @param {{legend: string, value: string, options: [string, string][], onChoose: (value: string) => void, name?: string}} props
 */
export function Segments({ legend, value, options, onChoose, name }) {
  const own = useId();
  return html`
    <fieldset class="field">
      <legend>${legend}</legend>
      <div class="segments">
        ${options.map(
          ([one, words]) => html`
            <label key=${one}>
              <input type="radio" name=${name ?? own} value=${one} checked=${one === value} onChange=${() => onChoose(one)} />
              <span>${words}</span>
            </label>
          `,
        )}
      </div>
    </fieldset>
  `;
}
