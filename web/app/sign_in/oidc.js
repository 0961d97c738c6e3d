// Signing in at the operator's identity provider: OpenID Connect, authorisation code with PKCE.
//
// Loaded only where that is how one signs in. The tokens lie in the session storage of the tab and go nowhere but
// to the provider and to the service.

import { ErrorResponse, UserManager, WebStorageStateStore } from "oidc-client-ts";
import { ApiError } from "../../client/api.js";
import { settings } from "../settings.js";

/** A token that is good for less than this is renewed before it is used, in seconds. */
const NEARLY_OVER = 30;

const oidc = /** @type {{authority: string, clientId: string, scope?: string}} */ (settings.oidc);
const app = `${location.origin}${settings.base}/app`;

const manager = new UserManager({
  authority: oidc.authority,
  client_id: oidc.clientId,
  scope: oidc.scope,
  redirect_uri: `${app}/sign-in/done`,
  post_logout_redirect_uri: app,
  response_type: "code",
  userStore: new WebStorageStateStore({ store: sessionStorage }),
  stateStore: new WebStorageStateStore({ store: sessionStorage }),
  // The page asks for a token when it needs one; a frame of the provider's would be against its policy.
  automaticSilentRenew: false,
  monitorSession: false,
  loadUserInfo: false,
});

/** @type {Promise<string | null> | null} */
let renewing = null;

/**
 * Leave for the identity provider. It sends people back to `/app/sign-in/done`, where `finish` goes on.
 *
 * @param {string} [returnTo] the path to show afterwards, by default the present one
 * @returns {Promise<void>} which is not fulfilled before the page is left
 */
export async function signIn(returnTo = location.pathname + location.search) {
  await manager.signinRedirect({ state: { returnTo } });
}

/**
 * Take what the identity provider sent back, on `/app/sign-in/done`.
 *
 * @returns {Promise<{ token: string, returnTo: string }>} the access token, and the path to show: within `/app`
 * @throws {Error} when the provider refused, or when this is not the answer to a question of this tab
 */
export async function finish() {
  const user = await manager.signinRedirectCallback();
  return { token: user.access_token, returnTo: within(/** @type {any} */ (user.state)?.returnTo) };
}

/**
 * Return an access token that is good for a while, or null when one has to sign in (again). Throw an ApiError while the
 * provider is away.
 *
 * @param {boolean} [renew] whether a new one is wanted, because the service has refused the one before
 * @returns {Promise<string | null>}
 */
export async function getToken(renew = false) {
  const user = await manager.getUser();
  if (user === null) return null;
  // A provider that does not say how long it is good leaves that to the service.
  const isGood = user.expires_in === undefined || user.expires_in > NEARLY_OVER;
  if (isGood && !renew) return user.access_token;
  if (!user.refresh_token) return null;
  renewing ??= renewed().finally(() => (renewing = null));
  return renewing;
}

/**
 * Forget the tokens, and sign out at the identity provider if it lets pages do that.
 *
 * @returns {Promise<void>} the page may be left before it is fulfilled
 */
export async function signOut() {
  const { end_session_endpoint: end } = await manager.metadataService.getMetadata().catch(() => /** @type {any} */ ({}));
  if (end) await manager.signoutRedirect();
  else await manager.removeUser();
}

/**
 * Renew the token; null where the provider refuses.
 *
 * A net or a provider that is away for a moment is no refusal: it puts no one out of a chat.
 *
 * @returns {Promise<string | null>}
 * @throws {ApiError}
 */
async function renewed() {
  try {
    return (await manager.signinSilent())?.access_token ?? null;
  } catch (cause) {
    if (cause instanceof ErrorResponse && cause.error !== "temporarily_unavailable" && cause.error !== "server_error") return null;
    throw new ApiError({ status: 0, code: "OFFLINE", message: "The identity provider cannot be reached.", cause });
  }
}

/**
 * Only paths of these pages are gone back to, whatever the state says.
 *
 * @param {unknown} path
 */
function within(path) {
  const home = `${settings.base}/app`;
  if (typeof path !== "string") return home;
  const { origin, pathname, search } = new URL(path, location.origin);
  const isOurs = origin === location.origin && (pathname === home || pathname.startsWith(`${home}/`));
  return isOurs && !pathname.startsWith(`${home}/sign-in`) ? pathname + search : home;
}
