/** A person, as initials on a tone of their own. The sheet writes the initials: they are no words of a button's name. */
import { html } from "./html.js";

const TONES = 6;

/** The words of a name without its titles: `Dr. Sari Wulandari, M.Psi.` is Sari Wulandari. @param {string} name */
const words = (name) => name.split(/\s+/).filter((word) => /\p{L}/u.test(word) && !/\.,?$/.test(word));

/** What one is called by. @param {string} name */
export const calledName = (name) => words(name)[0]?.replace(/,$/, "") ?? name;

/** @param {string} name */
function initials(name) {
  const all = words(name);
  const chosen = all.length > 1 ? [all[0], all[all.length - 1]] : all;
  return chosen.map((word) => [...word][0].toUpperCase()).join("");
}

/** @param {string} id */
function tone(id) {
  let sum = 0;
  for (const letter of id) sum = (sum * 31 + letter.charCodeAt(0)) % 9973;
  return (sum % TONES) + 1;
}

/** @param {{person: {id: string, fullName: string}, here?: boolean, small?: boolean}} props `here`: they have the chat open */
export const Avatar = ({ person, here = false, small = false }) => html`
  <span class=${`avatar ${small ? "small" : ""}`} data-tone=${tone(person.id)} data-initials=${initials(person.fullName)} aria-hidden="true">
    ${here && html`<span class="here"></span>`}
  </span>
`;
