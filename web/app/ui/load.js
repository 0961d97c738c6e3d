/** What is fetched for a screen: while it comes, when it is there, and when it fails. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { errorText, t } from "../texts.js";
import { Button } from "./button.js";
import { html } from "./html.js";
import { Icon } from "./icon.js";

/**
 * Fetch something, and again whenever one of `depends` changes, or `reload` is called.
 *
 * What was there before stays until the new comes, so that a screen does not blink.
 *
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} work
 * @param {unknown[]} depends
 * @returns {{data: T | undefined, error: any, isLoading: boolean, reload: () => Promise<void>, set: (data: T) => void}}
 */
export function useLoad(work, depends) {
  const [state, setState] = useState(/** @type {{data: any, error: any, isLoading: boolean}} */ ({ data: undefined, error: null, isLoading: true }));
  const current = useRef(/** @type {AbortController | null} */ (null));
  const reload = useCallback(async () => {
    current.current?.abort();
    const mine = new AbortController();
    current.current = mine;
    setState((before) => ({ ...before, isLoading: true }));
    try {
      const data = await work(mine.signal);
      if (!mine.signal.aborted) setState({ data, error: null, isLoading: false });
    } catch (error) {
      if (!mine.signal.aborted) setState((before) => ({ ...before, error, isLoading: false }));
    }
  }, depends);
  useEffect(() => {
    void reload();
    return () => current.current?.abort();
  }, [reload]);
  const set = useCallback((/** @type {T} */ data) => setState({ data, error: null, isLoading: false }), []);
  return { ...state, reload, set };
}

/** Rows that will be there in a moment. @param {{rows?: number}} props */
export const Skeleton = ({ rows = 4 }) => html`
  <div class="stack" aria-busy="true" aria-label=${t("app.loading")} role="status">
    ${Array.from({ length: rows }, (_, row) => html`<div key=${row} class="row" aria-hidden="true">
      <div class="bone" style="width:40px;height:40px;border-radius:50%"></div>
      <div class="grow stack-s"><div class="bone" style=${`width:${60 - row * 7}%`}></div><div class="bone" style="width:35%;height:0.8em"></div></div>
    </div>`)}
  </div>
`;

/** @param {{error: any, onRetry: () => unknown}} props */
export const Failed = ({ error, onRetry }) => html`
  <div class="problem" role="alert">
    <p>${errorText(error)}</p>
    ${error?.requestId && html`<p class="tiny">${t("app.request", { id: error.requestId })}</p>`}
    <${Button} icon="reload" onPress=${onRetry}>${t("app.retry")}<//>
  </div>
`;

/** @param {{icon: string, children?: any}} props */
export const Empty = ({ icon, children }) => html`<div class="empty"><${Icon} name=${icon} />${children}</div>`;
