/** The first module of the pages: finds out who is here, and opens the room that is theirs. */
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../client/rdchat.js";
import { identity, resume, signInWith } from "./identity.js";
import { settings } from "./settings.js";
import { SignIn } from "./start/sign_in.js";
import { CrisisContacts, refreshContacts } from "./ui/crisis.js";
import { Questions, takeBack } from "./ui/dialog.js";
import { ErrorBoundary } from "./ui/error_boundary.js";
import { keepFocus } from "./ui/focus.js";
import { Frame } from "./ui/frame.js";
import { html } from "./ui/html.js";
import { Failed, Skeleton } from "./ui/load.js";
import { Loaded } from "./ui/loaded.js";
import { silence, Toasts } from "./ui/toasts.js";
import { parts } from "./router.js";

/** Rooms are loaded when they are entered: a client never loads the desk. @type {Record<string, () => Promise<any>>} */
const ROOMS = {
  psychologist: () => import("./desk/room.js").then((module) => module.Room),
  supervisor: () => import("./console/room.js").then((module) => module.Room),
  super_admin: () => import("./console/room.js").then((module) => module.Room),
};
const clientRoom = () => import("./client/room.js").then((module) => module.Room);
const seeASession = () => import("./start/see_a_session.js").then((module) => module.Room);

function App() {
  const [isReady, setReady] = useState(false);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const begin = async () => {
    setProblem(null);
    try {
      if (settings.signIn !== "off" && parts.value[0] !== "see") await enter();
      setReady(true);
    } catch (error) {
      setProblem(error);
    }
  };
  useEffect(() => void begin(), []);
  const who = identity.value;
  useEffect(() => {
    if (who !== null) void refreshContacts(who.api, () => identity.peek() === who);
    // What one person was asked or told is not for the next at this device.
    return () => {
      takeBack();
      silence();
    };
  }, [who]);
  if (problem !== null) return html`<${Frame} title=""><div class="page"><${Failed} error=${problem} onRetry=${begin} /></div><//>`;
  if (!isReady) return html`<${Frame} title=""><div class="page"><${Skeleton} /></div><//>`;
  if (who !== null) return html`<${Loaded} key=${who.me.id} load=${ROOMS[who.me.role] ?? clientRoom} />`;
  if (parts.value[0] === "see") return html`<${Loaded} key="see" load=${seeASession} />`;
  return html`<${SignIn} />`;
}

/**
 * A frame of "See a session" is given its token by the page around it. It shares that page's storage, but never its person:
 * loaded again, it waits for another token.
 *
 * @returns {Promise<unknown>}
 */
function enter() {
  if (self === top) return resume();
  if (!location.hash.startsWith("#token=")) throw new ApiError({ status: 401, code: "UNAUTHENTICATED", message: "Load the page around this one again." });
  const token = location.hash.slice("#token=".length);
  history.replaceState(history.state, "", location.pathname + location.search);
  return signInWith(token);
}

const place = document.getElementById("app");
if (place !== null) {
  keepFocus();
  place.textContent = "";
  render(html`<${ErrorBoundary}><${App} /><//><${Questions} /><${CrisisContacts} /><${Toasts} />`, place);
}
