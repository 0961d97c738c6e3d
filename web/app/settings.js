/** What the service says to its pages, written into the page itself. */

/**
 * @typedef {object} Settings
 * @property {string} base the path before `/app` and `/api`, without a slash at the end; mostly empty
 * @property {string} version
 * @property {string} static where modules and styles are served
 * @property {"people" | "oidc" | "off"} signIn
 * @property {{authority: string, clientId: string, scope?: string} | null} oidc
 */

const written = document.getElementById("settings")?.textContent;

/** @type {Settings} */
export const settings = JSON.parse(written || "{}");
settings.base ??= "";
