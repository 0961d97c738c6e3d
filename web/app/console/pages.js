/** Lists that come page by page. */
import { useEffect, useRef, useState } from "preact/hooks";
import { identity } from "../identity.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { Failed, Skeleton } from "../ui/load.js";
import { attempt } from "../ui/toasts.js";

const LIMIT = 50;

/** @returns {import("../../client/api.js").Api} */
export const api = () => /** @type {any} */ (identity.value).api;

/**
 * A list of the API, from its beginning; further pages are asked for one by one.
 *
 * @param {string} path
 * @param {Record<string, string | undefined>} [query] the list begins again when it changes
 */
export function usePages(path, query = {}) {
  const [state, setState] = useState(/** @type {{rows: any[] | undefined, next: string | null, error: any, isLoading: boolean}} */ ({ rows: undefined, next: null, error: null, isLoading: true }));
  const current = useRef(/** @type {AbortController | null} */ (null));
  const asked = JSON.stringify([path, query]);
  const begin = async () => {
    current.current?.abort();
    const mine = new AbortController();
    current.current = mine;
    setState((before) => ({ ...before, isLoading: true }));
    try {
      const page = await api().get(path, { query: { ...query, limit: LIMIT }, signal: mine.signal });
      if (!mine.signal.aborted) setState({ rows: page.data, next: page.nextCursor, error: null, isLoading: false });
    } catch (error) {
      if (!mine.signal.aborted) setState({ rows: undefined, next: null, error, isLoading: false });
    }
  };
  const more = () =>
    attempt(async () => {
      const mine = current.current;
      const page = await api().get(path, { query: { ...query, limit: LIMIT, cursor: state.next } });
      if (mine === current.current) setState((before) => ({ ...before, rows: [...(before.rows ?? []), ...page.data], next: page.nextCursor }));
    });
  useEffect(() => {
    void begin();
    return () => current.current?.abort();
  }, [asked]);
  return { ...state, reload: begin, more };
}

/**
 * The list, or what is there instead of it.
 *
 * @param {{pages: ReturnType<typeof usePages>, empty: any, children: (rows: any[]) => any}} props
 */
export function Pages({ pages, empty, children }) {
  const { rows, next, error, reload, more } = pages;
  if (error) return html`<${Failed} error=${error} onRetry=${reload} />`;
  if (rows === undefined) return html`<${Skeleton} />`;
  if (rows.length === 0) return empty;
  return html`
    ${children(rows)}
    ${next !== null && html`<div class="row"><${Button} onPress=${more}>${t("console.more")}<//></div>`}
  `;
}
