/** Asking again and again, while the page can be seen. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { identity } from "../identity.js";

/**
 * Fetch something at once and then every so often. A hidden page asks for nothing, and asks at once when it is seen again.
 *
 * What came last stays while an answer is awaited, and when it fails.
 *
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} work
 * @param {(data: T | undefined) => number | null} pace milliseconds from an answer to the next question, by what was last answered; null: none
 * @param {unknown[]} [depends]
 * @returns {{data: T | undefined, error: any, at: number | null, reload: () => Promise<void>}} `at`: when `data` came, by the server's clock
 */
export function usePoll(work, pace, depends = []) {
  const [state, setState] = useState(/** @type {{data: any, error: any, at: number | null}} */ ({ data: undefined, error: null, at: null }));
  const current = useRef(/** @type {AbortController | null} */ (null));
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  const wait = useRef(/** @type {number | null} */ (null));
  const look = useCallback(async () => {
    clearTimeout(timer.current);
    current.current?.abort();
    const mine = new AbortController();
    current.current = mine;
    try {
      const data = await work(mine.signal);
      wait.current = pace(data);
      if (!mine.signal.aborted) setState({ data, error: null, at: identity.value?.rdchat.clock.now() ?? null });
    } catch (error) {
      // What was refused for good is refused again.
      wait.current = /** @type {any} */ (error)?.isTemporary === false ? null : (wait.current ?? pace(undefined));
      if (!mine.signal.aborted) setState((before) => ({ ...before, error }));
    }
    if (!mine.signal.aborted && wait.current !== null && !document.hidden) timer.current = setTimeout(look, wait.current);
  }, depends);
  useEffect(() => {
    const onVisibility = () => {
      if (document.hidden) clearTimeout(timer.current);
      else if (wait.current !== null) void look();
    };
    void look();
    document.addEventListener("visibilitychange", onVisibility);
    return () => {
      document.removeEventListener("visibilitychange", onVisibility);
      clearTimeout(timer.current);
      current.current?.abort();
    };
  }, [look]);
  return { ...state, reload: look };
}
