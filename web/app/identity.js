/**
 * Who is signed in, and their connection to the service.
 *
 * Tokens live in memory. In development the choice of a person is kept for this tab, so that a reload finds them again;
 * two tabs can be two people.
 */
import { signal } from "@preact/signals";
import { ApiError, Rdchat, readToken } from "../client/rdchat.js";
import { go } from "./router.js";
import { settings } from "./settings.js";

const PERSON = "rdchat:person";
const OVERSEEING = ["super_admin", "supervisor"];
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
export const baseUrl = location.origin + settings.base;

/**
 * @typedef {object} Identity
 * @property {import("../client/rdchat.js").Me} me
 * @property {Rdchat} rdchat
 * @property {import("../client/api.js").Api} api
 */

/** @type {import("@preact/signals").Signal<Identity | null>} */
export const identity = signal(null);
/** Whether Ably is connected; true until it is known. */
export const isConnected = signal(true);

/** @type {string | null} */
let personId = null;
/** @type {string | null} a token that a frame was given by the page around it */
let given = null;

/** @returns {string | null} */
function kept() {
  try {
    return sessionStorage.getItem(PERSON);
  } catch {
    return null;
  }
}

/** @param {string | null} id */
function keep(id) {
  personId = id;
  try {
    if (id === null) sessionStorage.removeItem(PERSON);
    else sessionStorage.setItem(PERSON, id);
  } catch {
    // Forbidden: a reload then asks again.
  }
}

/** @param {boolean} renew @returns {Promise<string>} */
async function getToken(renew) {
  if (given !== null) return given;
  const asking = identity.peek();
  const token = settings.signIn === "oidc" ? await (await import("./sign_in/oidc.js")).getToken(renew) : await fetchToken();
  if (token !== null) return token;
  // What was typed is kept; it is there again when one has signed in.
  if (identity.peek() === asking) leave();
  throw new ApiError({ status: 401, code: "UNAUTHENTICATED", message: "Sign in again." });
}

/** @returns {Promise<string | null>} null where there is no such person */
async function fetchToken() {
  let answer;
  try {
    answer = await fetch(`${settings.base}/app/sign-in`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ personId }),
    });
  } catch (cause) {
    throw new ApiError({ status: 0, code: "OFFLINE", message: "The service cannot be reached.", cause });
  }
  if (answer.ok) return (await answer.json()).data.token;
  const isAway = answer.status >= 500 || answer.status === 408 || answer.status === 429;
  if (isAway) throw new ApiError({ status: answer.status, code: "UNAVAILABLE", message: "The service is away." });
  return null;
}

/** Sign in as one of the people of the development service. @param {string} id */
export async function signInAs(id) {
  keep(id);
  await enter();
}

/** Sign in by a token, as the frames of "See a session" do. @param {string} token */
export async function signInWith(token) {
  given = token;
  await enter();
}

/** Be again who one was before a reload, or who the provider says. @returns {Promise<boolean>} whether there is such a person */
export async function resume() {
  if (settings.signIn === "oidc") {
    const { finish, getToken: known } = await import("./sign_in/oidc.js");
    if (location.pathname === `${settings.base}/app/sign-in/done`) {
      const { returnTo } = await finish();
      go(returnTo.slice(`${settings.base}/app`.length) || "/", { replace: true });
    } else if ((await known()) === null) return false;
  } else {
    personId = kept();
    if (personId === null) return false;
  }
  await enter();
  return true;
}

async function enter() {
  const token = await getToken(false);
  const me = readToken(token);
  let first = /** @type {string | null} */ (token);
  /** @type {Rdchat | null} */
  let mine = null;
  const next = async (/** @type {boolean} */ renew) => {
    const known = renew ? null : first;
    first = null;
    if (known !== null) return known;
    // What is still under way when one has left gets no token, neither of the next person nor of one's own.
    if (mine !== null && identity.peek()?.rdchat !== mine) throw new ApiError({ status: 401, code: "UNAUTHENTICATED", message: "Sign in again." });
    return getToken(renew);
  };
  const rdchat = await Rdchat.signIn({ baseUrl, getToken: next });
  mine = rdchat;
  rdchat.addEventListener("connection", () => {
    isConnected.value = rdchat.isConnected;
  });
  identity.value = { me, rdchat, api: rdchat.api };
  if (!OVERSEEING.includes(me.role)) void connect(rdchat);
}

/**
 * Connect to Ably behind the first screen, and for as long as it takes: without it the pages work, a little later.
 *
 * @param {Rdchat} rdchat
 */
async function connect(rdchat) {
  for (let pause = FIRST_PAUSE_MS; identity.value?.rdchat === rdchat; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      const { Realtime, options } = await import("./realtime.js");
      await rdchat.connect(Realtime, options);
      return;
    } catch (error) {
      isConnected.value = false;
      if (error instanceof ApiError && !error.isTemporary) return;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** Close what is open; what is not sent stays kept. */
function leave() {
  const now = identity.peek();
  identity.value = null;
  now?.rdchat.close();
}

/** Leave, and forget what this device keeps of this person. */
export async function signOut() {
  keep(null);
  given = null;
  await identity.peek()?.rdchat.storage.clear();
  leave();
  if (settings.signIn === "oidc") await (await import("./sign_in/oidc.js")).signOut();
}
