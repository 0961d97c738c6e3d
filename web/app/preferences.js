/** What a person has chosen for this device: language and theme. Without storage it lasts as long as the page. */
import { signal } from "@preact/signals";

/** @param {string} name */
export function read(name) {
  try {
    return localStorage.getItem(`rdchat:${name}`);
  } catch {
    return null;
  }
}

/** @param {string} name @param {string} value */
export function keep(name, value) {
  try {
    localStorage.setItem(`rdchat:${name}`, value);
  } catch {
    // Forbidden or full: it is then asked for again next time.
  }
}

const prefersEnglish = () => !(navigator.languages ?? [navigator.language]).some((one) => /^(id|ms|jv|su)\b/i.test(one));

/** @type {import("@preact/signals").Signal<"id" | "en">} */
export const language = signal(/** @type {any} */ (read("language")) ?? (prefersEnglish() ? "en" : "id"));

/** @type {import("@preact/signals").Signal<"system" | "light" | "dark">} */
export const theme = signal(/** @type {any} */ (read("theme")) ?? "system");

/** @param {"id" | "en"} chosen */
export function chooseLanguage(chosen) {
  language.value = chosen;
  document.documentElement.lang = chosen;
  keep("language", chosen);
}

/** @param {"system" | "light" | "dark"} chosen */
export function chooseTheme(chosen) {
  theme.value = chosen;
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  keep("theme", chosen);
}

document.documentElement.lang = language.value;
chooseTheme(theme.value);
