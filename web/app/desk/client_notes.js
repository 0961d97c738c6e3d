/** The notes about a client, written beside the chat. */
import { useEffect, useId } from "preact/hooks";
import { identity } from "../identity.js";
import { errorText, t } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";
import { Failed, Skeleton } from "../ui/load.js";
import { clockTime, isoDay, shortDate } from "../ui/time.js";
import { NotesKeeper } from "./notes_keeper.js";

const LONGEST = 20_000;
const COUNTED_FROM = 19_000;

/** One for each client: two views of the same notes are one text. Of those who were signed in before, nothing is left. */
let keepers = { of: /** @type {unknown} */ (null), byClient: /** @type {Map<string, NotesKeeper>} */ (new Map()) };

/** @param {string} clientId */
function keeperOf(clientId) {
  const { api, rdchat } = /** @type {import("../identity.js").Identity} */ (identity.peek());
  if (keepers.of !== rdchat) keepers = { of: rdchat, byClient: new Map() };
  let keeper = keepers.byClient.get(clientId);
  if (keeper === undefined) keepers.byClient.set(clientId, (keeper = new NotesKeeper({ api, storage: rdchat.storage, clientId })));
  return keeper;
}

/** @param {{clientId: string, heading?: string}} props */
export function ClientNotes({ clientId, heading = "h3" }) {
  const id = useId();
  const keeper = keeperOf(clientId);
  useEffect(() => {
    // Not while something is unsaved: what is written is newer than what the service has.
    if (["loading", "failed", "saved"].includes(keeper.state.peek())) void keeper.load();
    const save = () => document.visibilityState === "hidden" && void keeper.save();
    document.addEventListener("visibilitychange", save);
    return () => {
      document.removeEventListener("visibilitychange", save);
      void keeper.save();
    };
  }, [keeper]);
  const state = keeper.state.value;
  const text = keeper.text.value;
  if (state === "failed") return html`<section class="notes"><${heading}>${t("notes.title")}<//><${Failed} error=${keeper.error.value} onRetry=${() => keeper.load()} /></section>`;
  if (state === "loading" && text === "") return html`<section class="notes"><${heading}>${t("notes.title")}<//><${Skeleton} rows=${2} /></section>`;
  return html`
    <section class="notes" data-notes=${state}>
      <${heading}><label for=${id}>${t("notes.title")}</label><//>
      <p class="tiny soft notes-private"><${Icon} name="lock" />${t("notes.private")}</p>
      ${state === "conflict" && html`<${Conflict} keeper=${keeper} />`}
      <textarea
        id=${id}
        class="input"
        dir="auto"
        maxlength=${LONGEST}
        placeholder=${t("notes.placeholder")}
        value=${text}
        onInput=${(/** @type {any} */ event) => keeper.write(event.target.value)}
        onBlur=${() => keeper.save()}
      ></textarea>
      ${text.length > COUNTED_FROM && html`<p class="tiny soft">${t("notes.left", { n: LONGEST - text.length })}</p>`}
      <${NotesState} keeper=${keeper} />
    </section>
  `;
}

/** @param {{keeper: NotesKeeper}} props */
function NotesState({ keeper }) {
  const state = keeper.state.value;
  const at = keeper.savedAt.value;
  const isDurable = identity.value?.rdchat.storage.isDurable ?? true;
  const when = at && (isoDay(at) === isoDay(Date.now()) ? clockTime(at) : `${shortDate(at)}, ${clockTime(at)}`);
  if (state === "refused") return html`<p class="notes-state small bad" role="alert">${errorText(keeper.error.value)} ${t("notes.refused")} <${Button} onPress=${() => keeper.save()}>${t("app.retry")}<//></p>`;
  const said = {
    saved: when ? t("notes.saved", { when }) : t("notes.empty"),
    waiting: t(isDurable ? "notes.waiting" : "notes.waiting.memory"),
    conflict: t("notes.conflict.kept"),
  }[/** @type {"saved" | "waiting" | "conflict"} */ (state)];
  return html`<p class=${`notes-state tiny ${state === "waiting" ? "warn" : "soft"}`} role="status">${said ?? t("notes.saving")}</p>`;
}

/** @param {{keeper: NotesKeeper}} props */
function Conflict({ keeper }) {
  const theirs = keeper.theirs.value;
  const mine = keeper.text.value;
  return html`
    <div class="notes-conflict notice" role="alert">
      <p><strong>${t("notes.conflict")}</strong> ${t("notes.conflict.text")}</p>
      <p class="tiny"><strong>${t("notes.conflict.theirs")}</strong></p>
      <p class="notes-theirs" dir="auto" tabindex="0">${theirs || t("notes.conflict.nothing")}</p>
      <div class="row">
        <${Button} onPress=${() => keeper.settle([theirs, mine].filter(Boolean).join("\n\n"))}>${t("notes.conflict.both")}<//>
        <${Button} onPress=${() => keeper.settle(mine)}>${t("notes.conflict.mine")}<//>
        <${Button} onPress=${() => keeper.settle(theirs)}>${t("notes.conflict.take")}<//>
      </div>
    </div>
  `;
}
