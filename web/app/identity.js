/**
 * Who is signed in, and their connection to the service.
 *
 * Tokens live in memory. In development the choice of a person is kept for this tab, so that a reload finds them again;
 * two tabs can be two people.
 */
import { signal } from "@preact/signals";
import { ApiError, Rdchat, readToken } from "../client/rdchat.js";
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
  if (settings.signIn === "oidc") return (await import("./sign_in/oidc.js")).getToken(renew);
  const answer = await fetch(`${settings.base}/app/sign-in`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ personId }),
  });
  if (!answer.ok) throw new Error(`Sign-in failed with ${answer.status}.`);
  return (await answer.json()).data.token;
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

/** Be again who one was before a reload. @returns {Promise<boolean>} whether there is such a person */
export async function resume() {
  if (settings.signIn === "oidc") {
    const oidc = await import("./sign_in/oidc.js");
    if (!(await oidc.finish())) return false;
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
  const next = (/** @type {boolean} */ renew) => {
    const known = renew ? null : first;
    first = null;
    return known !== null ? Promise.resolve(known) : getToken(renew);
  };
  const rdchat = await Rdchat.signIn({ baseUrl, getToken: next });
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

/** Leave, and forget what this device keeps of this person. */
export async function signOut() {
  const now = identity.value;
  keep(null);
  given = null;
  await now?.rdchat.signOut();
  identity.value = null;
  if (settings.signIn === "oidc") await (await import("./sign_in/oidc.js")).signOut();
}
