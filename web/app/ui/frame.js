/** What stands around every screen: the way home, the rooms, help, the person's menu; and what is said about the net. */
import { useEffect, useRef, useState } from "preact/hooks";
import { identity, signOut } from "../identity.js";
import { chooseLanguage, chooseTheme, language, theme } from "../preferences.js";
import { addressOf, go, Link } from "../router.js";
import { settings } from "../settings.js";
import { t } from "../texts.js";
import { Avatar } from "./avatar.js";
import { Button } from "./button.js";
import { CrisisButton, forgetContacts } from "./crisis.js";
import { confirm } from "./dialog.js";
import { Segments } from "./field.js";
import { html } from "./html.js";
import { Icon } from "./icon.js";

const Sign = () => html`
  <svg viewBox="0 0 32 32" aria-hidden="true">
    <path fill="currentColor" d="M16 3C8.3 3 2 8.4 2 15c0 3.6 1.9 6.9 4.900 9.100L6 29l5.600-2.600c1.400.4 2.900.6 4.400.6 7.700 0 14-5.400 14-12S23.700 3 16 3z" />
    <path fill="none" stroke="var(--raised)" stroke-width="2.400" stroke-linecap="round" d="M10.500 15.500c1.800 3 9.200 3 11 0" />
  </svg>
`;

/** Whether another page of ours shows this one in a frame, and has all that stands around a screen. */
const isEmbedded = new URLSearchParams(location.search).has("embedded");

/** A menu that a button opens; Escape and a click elsewhere close it. @param {any} props `label`, `face` in the button */
export function Menu({ label, face, icon, children }) {
  const [isOpen, setOpen] = useState(false);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (!isOpen) return undefined;
    const onKey = (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      box.current?.querySelector("button")?.focus();
    };
    const onPointer = (/** @type {Event} */ event) => {
      if (!box.current?.contains(/** @type {Node} */ (event.target))) setOpen(false);
    };
    addEventListener("keydown", onKey);
    addEventListener("pointerdown", onPointer);
    return () => {
      removeEventListener("keydown", onKey);
      removeEventListener("pointerdown", onPointer);
    };
  }, [isOpen]);
  return html`
    <div class="menu" ref=${box}>
      <${Button} kind="quiet" class=${face ? "icon round" : ""} icon=${icon} label=${label} aria-expanded=${isOpen} onPress=${() => setOpen(!isOpen)}>${face}<//>
      ${isOpen && html`<div onClick=${(/** @type {any} */ event) => event.target.closest("button, a") && setOpen(false)}>${children}</div>`}
    </div>
  `;
}

/** Sign out; where that would lose something, only when one wants it so. */
async function leave() {
  const isLosing = (await identity.peek()?.rdchat.hasUnsent()) ?? false;
  if (isLosing && !(await confirm({ title: t("app.signOut.ask"), text: t("app.signOut.loses"), verb: t("app.signOut"), danger: true }))) return;
  await signOut();
  forgetContacts();
  // The next person starts with a page of their own: rooms leave their words and sheets behind. A provider loads one anyhow.
  if (settings.signIn === "people") location.assign(addressOf("/"));
  else go("/");
}

function PersonMenu() {
  const me = identity.value?.me;
  return html`
    <${Menu} label=${me ? `${t("app.menu")}: ${me.fullName}` : t("app.menu")} icon=${me ? undefined : "settings"} face=${me && html`<${Avatar} person=${me} small />`}>
      ${me && html`<p class="person small"><strong dir="auto">${me.fullName}</strong></p>`}
      <div class="item"><${Segments} legend=${t("app.language")} value=${language.value} options=${[["id", "Indonesia"], ["en", "English"]]} onChoose=${chooseLanguage} /></div>
      <div class="item"><${Segments} legend=${t("app.theme")} value=${theme.value} options=${["system", "light", "dark"].map((one) => [one, t(`app.theme.${one}`)])} onChoose=${chooseTheme} /></div>
      ${me && html`<hr /><button class="item" onClick=${leave}><${Icon} name="end" />${t("app.signOut")}</button>`}
    <//>
  `;
}

/**
 * @param {object} props
 * @param {string} props.title of the screen, for the window; no content of chats
 * @param {{to: string, words: string, icon?: string, section?: string, count?: number}[]} [props.nav]
 * @param {boolean} [props.full] the screen fills the window and scrolls inside
 * @param {any} [props.banner]
 * @param {any} [props.children]
 */
export function Frame({ title, nav = [], full = false, banner, children }) {
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    document.title = title ? `${title} · ${t("app.name")}` : t("app.name");
  }, [title, language.value]);
  const isOnline = useOnline();
  if (isEmbedded) return html`<div class=${`frame ${full ? "frame-full" : ""}`}>${banner}<main id="main" aria-label=${title}>${children}</main></div>`;
  return html`
    <div class=${`frame ${full ? "frame-full" : ""} ${nav.length ? "has-nav" : ""}`}>
      <a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => {
        event.preventDefault();
        main.current?.focus();
      }}>${t("app.skip")}</a>
      <header class="top">
        <${Link} to="/" class="name" aria-label=${t("app.name")}><${Sign} /><span class="word">${t("app.name")}</span><//>
        ${nav.length > 0 &&
        html`<nav aria-label=${t("app.menu")}>
          ${nav.map((one) => html`<${Link} key=${one.to} to=${one.to} section=${one.section}>${one.icon && html`<${Icon} name=${one.icon} />`}${one.words}${one.count ? html`<span class="count">${one.count}</span>` : null}<//>`)}
        </nav>`}
        <div class="end"><${CrisisButton} /><${PersonMenu} /></div>
      </header>
      ${!isOnline && html`<div class="banner" role="status"><${Icon} name="offline" />${t("app.offline")}</div>`}
      ${banner}
      <main id="main" ref=${main} tabindex="-1">${children}</main>
    </div>
  `;
}

function useOnline() {
  const [isOnline, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const update = () => setOnline(navigator.onLine);
    addEventListener("online", update);
    addEventListener("offline", update);
    return () => {
      removeEventListener("online", update);
      removeEventListener("offline", update);
    };
  }, []);
  return isOnline;
}
