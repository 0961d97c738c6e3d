/** What happened to a session, line by line. A replay shows how far it is. */
import { hasText, t } from "../texts.js";
import { html } from "../ui/html.js";
import { duration, moment } from "./figures.js";
import { reasonText } from "./status.js";

/** Who did it: a timer, one of the two, or one who oversees. @param {any} entry @param {any} session */
export function actorOf(entry, session) {
  if (entry.actorId === null) return t("console.by.timer");
  if (entry.actorId === session.clientId) return t("console.by.client");
  return t(entry.actorId === session.psychologistId ? "console.by.psychologist" : "console.by.other");
}

/** @param {any} entry */
const isCalledOff = (entry) => entry.outcome === "cancelled" || entry.outcome === "skipped";

/** @param {any} entry @param {any} session */
export function entryText(entry, session) {
  const what = t(`trigger.${entry.trigger}`);
  if (entry.actorId !== null) return t("console.entry.by", { what, who: actorOf(entry, session) });
  return isCalledOff(entry) ? t(`console.entry.${entry.outcome}`, { what }) : what;
}

/** @param {any} entry @param {number} now */
function more(entry, now) {
  if (isCalledOff(entry)) return [entry.reason && reasonText(entry.reason), entry.plannedAt && t("console.entry.planned", { time: moment(entry.plannedAt, now) })].filter(Boolean).join(" · ");
  const moved = entry.from === entry.to ? "" : `${t(`status.${entry.from}`)} → ${t(`status.${entry.to}`)}`;
  return [moved, entry.latenessMs !== null && (entry.latenessMs === 0 ? t("console.entry.onTime") : t("console.entry.late", { time: duration(entry.latenessMs) }))].filter(Boolean).join(" · ");
}

/**
 * @param {object} props
 * @param {any[]} props.timeline
 * @param {import("../diagram/replay.js").Frame | null} props.frame how far the replay is
 * @param {any} props.session
 * @param {number} props.now
 * @param {(line: number) => void} props.onChoose
 */
export const Timeline = ({ timeline, frame, session, now, onChoose }) => html`
  <ol class="timeline" aria-label=${t("console.timeline")}>
    ${timeline.map((entry, line) => {
      const isAhead = frame !== null && line >= frame.count;
      const isHere = frame !== null && !isAhead && line >= frame.count - frame.entries.length;
      return html`
        <li key=${line} class=${isAhead ? "ahead" : isHere ? "here" : ""} data-entry=${entry.trigger}>
          <button aria-current=${isHere ? "step" : undefined} onClick=${() => onChoose(line)}>
            <span class="numbers small when">${moment(entry.at, now)}</span>
            <span class="dot" aria-hidden="true"></span>
            <span class="stack-xs"><span class=${isCalledOff(entry) ? "what small" : "what happened"}>${entryText(entry, session)}</span>${more(entry, now) && html`<span class="tiny soft numbers">${more(entry, now)}</span>`}</span>
          </button>
        </li>
      `;
    })}
  </ol>
`;
