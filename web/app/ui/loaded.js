/** Rooms and screens that are loaded when they are first shown: a client on a slow net waits for no screen but their own. */
import { useEffect, useReducer, useState } from "preact/hooks";
import { Frame } from "./frame.js";
import { html } from "./html.js";
import { Failed, Skeleton } from "./load.js";

/** Components that are here, by what loads them. @type {Map<() => Promise<any>, any>} */
const here = new Map();

/**
 * Load a component, if it is not here yet.
 *
 * @param {() => Promise<any>} load always the same function for the same component
 */
async function fetchComponent(load) {
  here.set(load, here.get(load) ?? (await load()));
}

/** Load components while nothing else is to be done, so that they are shown at once later. @param {(() => Promise<any>)[]} loads */
export function prepare(loads) {
  const idle = globalThis.requestIdleCallback ?? ((/** @type {() => void} */ work) => setTimeout(work, 1_000));
  // Failed ones are tried again when they are wanted.
  idle(() => loads.reduce((before, load) => before.then(() => fetchComponent(load)), Promise.resolve()).catch(() => {}));
}

/**
 * Show a component once it is loaded.
 *
 * @param {any} props `load` gives the component; all else is passed on to it
 */
export function Loaded({ load, ...props }) {
  const [, show] = useReducer((/** @type {number} */ times) => times + 1, 0);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const Component = here.get(load);
  useEffect(() => {
    if (Component === undefined) fetchComponent(load).then(() => show(0), setProblem);
  }, [load]);
  if (Component !== undefined) return html`<${Component} ...${props} />`;
  // Modules of a former version are served no more, and a failed one is not asked for again: both need a new page.
  const inside = problem === null ? html`<${Skeleton} />` : html`<${Failed} error=${{ code: "OFFLINE" }} onRetry=${() => location.reload()} />`;
  return html`<${Frame} title=""><div class="page">${inside}</div><//>`;
}
