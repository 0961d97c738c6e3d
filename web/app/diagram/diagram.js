/**
 * The state machine of a session, with where it stands and the way that it took.
 *
 * It takes all that it shows as arguments and knows neither who looks nor where: a page on its own can use it as well.
 * `diagram.css` has its looks, and takes the custom properties of `style/main.css`.
 */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { html } from "../ui/html.js";
import { routeOf, TALL, WIDE } from "./layouts.js";
import { countSteps, keyOf } from "./replay.js";

/** Below this width of its place, in CSS pixels, the states stand below each other. */
const NARROW = 720;
const LINE = 1.3;
/** Messages are no part of a timeline: how many there were is not drawn either. */
const UNDRAWN = "send_message";

/**
 * @param {object} props
 * @param {import("./replay.js").Machine} props.machine
 * @param {import("./replay.js").Frame | null} props.frame null: the machine alone, without a session in it
 * @param {(name: string) => string} props.words what a state or a trigger is called
 * @param {string} props.label what is to be seen, for readers
 */
export function Diagram({ machine, frame, words, label }) {
  const id = useId();
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const layout = useNarrow(place) ? TALL : WIDE;
  const taken = countSteps(frame?.steps ?? []);
  const latest = new Set((frame?.latest ?? []).map(keyOf));
  const parts = { machine, layout, frame, words, taken, latest, id };
  return html`
    <div class="diagram" ref=${place} data-state=${frame?.state}>
      <svg viewBox=${`${layout.left} ${layout.top} ${layout.width} ${layout.height}`} role="img" aria-label=${label} font-size=${layout.text}>
        <defs>
          ${["", "taken", "latest"].map(
            (kind) => html`
              <marker key=${kind} id=${`${id}-${kind}`} class=${`diagram-tip ${kind}`} viewBox="0 0 10 10" refX="8" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto-start-reverse">
                <path d="M0,0 L10,5 L0,10 z" />
              </marker>
            `,
          )}
        </defs>
        <${Start} ...${parts} />
        <${Arrows} ...${parts} />
        ${frame && html`<${Halo} box=${layout.boxes[frame.state]} />`}
        ${machine.states.map((state) => html`<${StateBox} key=${state.name} state=${state} ...${parts} />`)}
        <${Loops} ...${parts} />
      </svg>
    </div>
  `;
}

/** @param {{current: HTMLElement | null}} place @returns {boolean} */
function useNarrow(place) {
  const [isNarrow, setNarrow] = useState(() => typeof innerWidth === "number" && innerWidth < NARROW);
  useEffect(() => {
    const element = place.current;
    if (element === null || typeof ResizeObserver === "undefined") return undefined;
    const observer = new ResizeObserver(() => setNarrow(element.clientWidth < NARROW));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return isNarrow;
}

/** @param {any} props */
function Start({ layout, machine, frame, id }) {
  const { x, y } = layout.start;
  const first = layout.boxes[machine.initial];
  const line = x < first.x - first.width / 2 ? `M${x},${y} H${first.x - first.width / 2 - 2}` : `M${x},${y} V${first.y - first.height / 2 - 2}`;
  const kind = frame ? "taken" : "";
  return html`<circle class=${`diagram-start ${kind}`} cx=${x} cy=${y} r="5" /><path class=${`diagram-arrow ${kind}`} d=${line} marker-end=${`url(#${id}-${kind})`} />`;
}

/** Arrows between two states; those of several triggers are one line with several words. @param {any} props */
function Arrows({ machine, layout, words, taken, latest, id }) {
  /** @type {Map<string, any[]>} */
  const between = new Map();
  for (const arrow of machine.arrows) {
    if (arrow.source === arrow.destination) continue;
    const ends = `${arrow.source}>${arrow.destination}`;
    between.set(ends, [...(between.get(ends) ?? []), arrow]);
  }
  // What was taken lies on top.
  const kindOf = (/** @type {any[]} */ arrows) => (arrows.some((one) => latest.has(keyOf(one))) ? "latest" : arrows.some((one) => taken.has(keyOf(one))) ? "taken" : "");
  const all = [...between].map(([ends, arrows]) => ({ ends, arrows, kind: kindOf(arrows) })).sort((one, other) => Number(one.kind !== "") - Number(other.kind !== ""));
  return all.map(({ ends, arrows, kind }) => {
    const route = routeOf(layout, arrows[0].source, arrows[0].destination);
    return html`
      <g key=${ends} data-arrow=${ends} data-kind=${kind || "rest"}>
        <path class=${`diagram-arrow ${kind}`} d=${route.line} marker-end=${`url(#${id}-${kind})`} />
        <g transform=${route.turn ? `rotate(${route.turn} ${route.x} ${route.y})` : undefined}>
          ${arrows.map((arrow, index) => {
            const times = taken.get(keyOf(arrow)) ?? 0;
            const y = route.y - (arrows.length - 1 - index) * layout.text * LINE;
            return html`<text key=${arrow.trigger} class=${`diagram-words ${times ? "taken" : ""}`} x=${route.x} y=${y} text-anchor=${route.anchor ?? "middle"}>${ticked(words(arrow.trigger), times)}</text>`;
          })}
        </g>
      </g>
    `;
  });
}

/** @param {string} text @param {number} times */
const ticked = (text, times) => (times === 0 ? text : times === 1 ? `✓ ${text}` : `✓ ${text} ×${times}`);

/** The ring around where the session stands; it moves along. @param {{box: import("./layouts.js").Box}} props */
const Halo = ({ box }) => html`
  <rect class="diagram-halo" x=${-box.width / 2 - 6} y=${-box.height / 2 - 6} width=${box.width + 12} height=${box.height + 12} rx="16" style=${`transform: translate(${box.x}px, ${box.y}px)`} />
`;

/** @param {any} props */
function StateBox({ state, layout, frame, words, machine }) {
  const box = layout.boxes[state.name];
  const isCurrent = frame?.state === state.name;
  const isVisited = frame !== null && (state.name === machine.initial || frame.steps.some((/** @type {any} */ step) => step.destination === state.name));
  const kind = isCurrent ? "current" : isVisited ? "visited" : "";
  const [left, top] = [box.x - box.width / 2, box.y - box.height / 2];
  return html`
    <g class=${`diagram-state ${kind}`} data-name=${state.name}>
      <rect x=${left} y=${top} width=${box.width} height=${box.height} rx="10" />
      ${state.terminal && html`<rect class="inner" x=${left + 4} y=${top + 4} width=${box.width - 8} height=${box.height - 8} rx="7" />`}
      <text x=${box.x} y=${box.y} dy="0.36em" text-anchor="middle">${words(state.name)}</text>
    </g>
  `;
}

/** What happened in a state and led nowhere else. Only what did happen: the rest would be in the way. @param {any} props */
function Loops({ machine, layout, words, taken }) {
  const happened = machine.arrows.filter((/** @type {any} */ one) => one.source === one.destination && one.trigger !== UNDRAWN && taken.has(keyOf(one)));
  return machine.states.map((/** @type {any} */ state) => {
    const mine = happened.filter((/** @type {any} */ one) => one.source === state.name);
    const at = layout.loops[state.name];
    return mine.map((/** @type {any} */ one, /** @type {number} */ index) => html`
      <text key=${keyOf(one)} class="diagram-words taken" x=${at.x} y=${at.y + (at.down ? index : index + 1 - mine.length) * layout.text * LINE} text-anchor=${at.anchor}>↻ ${ticked(words(one.trigger), taken.get(keyOf(one)) ?? 0)}</text>
    `);
  });
}
