/** What the service says to its pages, written into the page itself. */

/**
 * @typedef {object} Settings
 * @property {string} base the path before `/app` and `/api`, without a slash at the end; mostly empty
 * @property {string} version
 * @property {string} static where modules and styles are served
 * @property {"people" | "oidc" | "off"} signIn
 * @property {{authority: string, clientId: string, scope?: string} | null} oidc
 * @property {number} initialLead seconds before the start at which the first message comes
 * @property {number} minSession seconds that a session lasts at least
 * @property {number} maxSession and at most
 * @property {number} extensionStep seconds by which an open session can be extended, or a multiple of them
 * @property {number} bookingHorizon seconds ahead of now that can be booked
 * @property {number} cancelDeadline seconds before the start until which a client can cancel or move
 * @property {number[]} reminders seconds before the start at which both are reminded
 * @property {any[]} crisisContacts whom everyone can turn to at once
 */

const written = document.getElementById("settings")?.textContent;

/** @type {Settings} */
export const settings = JSON.parse(written || "{}");
settings.base ??= "";
