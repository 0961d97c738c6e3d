/** A plot of numbers over time, in the page's colours. Beside it belongs a table: a plot says nothing to readers. */
import { useEffect, useRef, useState } from "preact/hooks";
import { language, theme } from "../preferences.js";
import { t } from "../texts.js";
import { html } from "../ui/html.js";
import { clockTime } from "../ui/time.js";

const HEIGHT = 220;

/** @param {string} name a custom property */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** From nothing to a little above the highest. @param {any} _ @param {number} _low @param {number} high @returns {[number, number]} */
const rangeOf = (_, _low, high) => [0, Math.max(10, high * 1.1)];

/** Draw again when the system turns dark or light. */
function useSystemTheme() {
  const [isDark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const update = () => setDark(query.matches);
    query.addEventListener("change", update);
    return () => query.removeEventListener("change", update);
  }, []);
  return isDark;
}

/**
 * @param {object} props
 * @param {number[]} props.times seconds
 * @param {[number, number]} props.span the first and the last second that is shown
 * @param {{label: string, values: (number | null)[], colour: string, dash?: number[], fill?: string}[]} props.series `colour` and `fill` are custom properties
 * @param {(value: number) => string} props.write a value, as on the axis
 */
export function Plot({ times, span, series, write }) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  const shownSpan = useRef(span);
  shownSpan.current = span;
  const data = /** @type {any} */ ([times, ...series.map((one) => one.values)]);
  const latest = useRef(data);
  latest.current = data;
  const isDark = useSystemTheme();
  const looks = [theme.value, isDark, language.value, ...series.map((one) => one.label)].join();
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    let isGone = false;
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font: `12px ${getComputedStyle(document.body).fontFamily}` };
    // Nothing is drawn where the package is not there: the table remains.
    import("uplot").then(({ default: UPlot }) => {
      if (isGone) return;
      const options = {
        width: element.clientWidth,
        height: HEIGHT,
        cursor: { y: false, drag: { x: false, y: false } },
        legend: { live: true },
        scales: { x: { time: true, range: () => shownSpan.current }, y: { range: rangeOf } },
        axes: [
          { ...axis, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((one) => clockTime(one * 1000)), space: 70 },
          { ...axis, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map(write), size: 64 },
        ],
        series: [
          { value: (/** @type {any} */ _, /** @type {number | null} */ at) => (at === null ? "–" : clockTime(at * 1000)), label: t("console.minute") },
          ...series.map((one) => ({
            label: one.label,
            stroke: colour(one.colour),
            fill: one.fill && colour(one.fill),
            dash: one.dash,
            width: 2,
            spanGaps: true,
            points: { show: true, size: 6, fill: colour(one.colour) },
            value: (/** @type {any} */ _, /** @type {number | null} */ value) => (value === null || value === undefined ? "–" : write(value)),
          })),
        ],
      };
      plot.current = new UPlot(options, latest.current, element);
      observer.observe(element);
    }, console.error);
    return () => {
      isGone = true;
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [looks]);
  useEffect(() => plot.current?.setData(latest.current));
  return html`<div class="plot" ref=${place} aria-hidden="true"></div>`;
}
