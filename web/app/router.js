/** Addresses of pages: `/app/...`, below the path that the service is reached by. */
import { computed, signal } from "@preact/signals";
import { html } from "./ui/html.js";
import { settings } from "./settings.js";

const ROOT = `${settings.base}/app`;

/** @returns {string} the path below `/app`, beginning with a slash */
function here() {
  const { pathname } = location;
  return (pathname.startsWith(ROOT) ? pathname.slice(ROOT.length) : pathname) || "/";
}

export const path = signal(here());
/** The query, as an object of its values. */
export const query = signal(Object.fromEntries(new URLSearchParams(location.search)));
/** The path's parts: `/counselings/1` is `["counselings", "1"]`. */
export const parts = computed(() => path.value.split("/").filter(Boolean));

addEventListener("popstate", update);

function update() {
  path.value = here();
  query.value = Object.fromEntries(new URLSearchParams(location.search));
}

/**
 * Go to another page.
 *
 * @param {string} to below `/app`, beginning with a slash; a query may follow
 * @param {{replace?: boolean}} [how] `replace`: the way back does not lead here again
 */
export function go(to, { replace = false } = {}) {
  const address = ROOT + to;
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  update();
  scrollTo(0, 0);
}

/** The address of a page, for links. @param {string} to */
export const addressOf = (to) => ROOT + to;

/**
 * A link to another page of the app.
 *
 * @param {any} props `to`, and what an anchor takes; `section`: current for every path that begins so
 */
export function Link({ to, section, children, ...rest }) {
  const current = path.value === to || (section && path.value.startsWith(section));
  const follow = (/** @type {MouseEvent} */ event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return html`<a href=${addressOf(to)} aria-current=${current ? "page" : undefined} ...${rest} onClick=${follow}>${children}</a>`;
}
