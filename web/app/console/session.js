/** One session: its facts, its automations, and its way through the state machine, live and as a replay. */
import { Diagram } from "../diagram/diagram.js";
import { framesOf } from "../diagram/replay.js";
import { ReplayControls, useReplay } from "../diagram/replay_controls.js";
import { identity } from "../identity.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { Failed, Skeleton } from "../ui/load.js";
import { exactTime, longDate, ownZone, span } from "../ui/time.js";
import { say } from "../ui/toasts.js";
import { Automations } from "./automations.js";
import { moment } from "./figures.js";
import { api } from "./pages.js";
import { usePoll } from "./poll.js";
import { Back, Screen } from "./screen.js";
import { reasonText, Status } from "./status.js";
import { entryText, Timeline } from "./timeline.js";

const LIVE_MS = 2_000;
const WAITING_MS = 15_000;
const NEAR_MS = 120_000;

/** How often a session is looked at: often while it is open or about to be, no more when it is over. @param {any} seen */
function pace(seen) {
  if (seen === undefined) return WAITING_MS;
  const { status, scheduledAt } = seen.session;
  if (status === "completed" || status === "cancelled") return null;
  const isAhead = status === "pending" && Date.parse(scheduledAt) - (identity.value?.rdchat.clock.now() ?? 0) > NEAR_MS;
  return isAhead ? WAITING_MS : LIVE_MS;
}

/** What changes of a session. @param {string} id @param {AbortSignal} signal */
async function look(id, signal) {
  const [session, timeline] = await Promise.all([api().get(`/chat/sessions/${id}`, { signal }), api().get(`/chat/sessions/${id}/timeline`, { signal })]);
  return { session, timeline };
}

/** The machine that it goes through. @param {string} id @param {AbortSignal} signal */
async function readMachine(id, signal) {
  const file = await api().getFile(`/chat/sessions/${id}/diagram`, { query: { format: "json" }, signal });
  return JSON.parse(await file.text());
}

/** @param {{sessionId: string}} props */
export function SessionPage({ sessionId }) {
  const machine = usePoll((signal) => readMachine(sessionId, signal), () => null);
  const known = usePoll((signal) => look(sessionId, signal), pace);
  const { data, error, at } = known;
  const before = html`<${Back} to="/sessions" />`;
  const retry = () => Promise.all([machine.reload(), known.reload()]);
  if (data === undefined || machine.data === undefined) {
    const problem = error ?? machine.error;
    return html`<${Screen} title=${t("console.session")} before=${before}>${problem ? html`<${Failed} error=${problem} onRetry=${retry} />` : html`<${Skeleton} rows=${6} />`}<//>`;
  }
  const { session, timeline } = data;
  const hint = html`${longDate(session.scheduledAt)} · <span class="numbers">${span(session.scheduledAt, session.endsAt)}</span> · ${ownZone}`;
  return html`
    <${Screen} title=${t("console.session")} heading=${html`<${Status} status=${session.status} />`} before=${before} hint=${hint}>
      <div role="status">${error !== null && html`<p class="notice" data-old>${t("console.old", { time: exactTime(/** @type {number} */ (at)) })}</p>`}</div>
      <${Life} session=${session} timeline=${timeline} machine=${machine.data} />
      <div class="columns">
        <${Facts} session=${session} />
        <${Automations} automations=${session.automations} />
      </div>
    <//>
  `;
}

/** The diagram, the replay and the timeline, which go together. @param {{session: any, timeline: any[], machine: any}} props */
function Life({ session, timeline, machine }) {
  const frames = framesOf(machine, timeline);
  const replay = useReplay(frames.length);
  const frame = frames[replay.place] ?? null;
  const now = identity.value?.rdchat.clock.now() ?? 0;
  const words = (/** @type {string} */ name) => t(machine.states.some((/** @type {any} */ one) => one.name === name) ? `status.${name}` : `trigger.${name}`);
  const steps = frame?.entries.filter((one) => one.outcome !== "cancelled") ?? [];
  const happened = (steps.length > 0 ? steps : (frame?.entries ?? [])).map((one) => entryText(one, session)).join(", ");
  const label = frame ? t("console.diagram.label", { status: t(`status.${frame.state}`), way: [machine.initial, ...frame.steps.map((one) => one.destination)].filter((one, index, all) => one !== all[index - 1]).map((one) => t(`status.${one}`)).join(", ") }) : t("console.diagram");
  const replayWords = {
    slider: t("console.replay"),
    play: t("console.replay.play"),
    pause: t("console.replay.pause"),
    previous: t("console.replay.previous"),
    next: t("console.replay.next"),
    now: frame ? t("console.replay.now", { place: replay.place + 1, of: frames.length, time: moment(frame.at, now), what: happened }) : "",
  };
  return html`
    <section class="card stack" aria-labelledby="life">
      <h2 id="life">${t("console.diagram")}</h2>
      <${Diagram} machine=${machine} frame=${frame} words=${words} label=${label} />
      ${frames.length > 0 && html`<${ReplayControls} replay=${replay} words=${replayWords} />`}
      <${Timeline} timeline=${timeline} frame=${frame} session=${session} now=${now} onChoose=${(/** @type {number} */ line) => replay.go(frames.findIndex((one) => one.count > line))} />
    </section>
  `;
}

/** @param {{session: any}} props */
function Facts({ session }) {
  const now = identity.value?.rdchat.clock.now() ?? 0;
  const exact = (/** @type {string | null} */ instant) => (instant === null ? "–" : moment(instant, now));
  const facts = [
    ["psychologist", session.psychologist.fullName],
    ["client", session.client.fullName],
    ["start", exact(session.scheduledAt)],
    ["end", exact(session.endsAt)],
    ["opened", exact(session.startedAt)],
    ["ended", exact(session.endedAt)],
    ...(session.endReason ? [["why", reasonText(session.endReason)]] : []),
    ...(session.outcome ? [["outcome", t(`outcome.${session.outcome}`)]] : []),
    ["booked", exact(session.createdAt)],
  ];
  return html`
    <section class="card stack" aria-labelledby="facts">
      <h2 id="facts">${t("console.facts")}</h2>
      <dl class="facts">
        ${facts.map(([name, value]) => html`<div key=${name}><dt>${t(`console.fact.${name}`)}</dt><dd class="numbers">${value}</dd></div>`)}
        <${Id} name="session" id=${session.id} />
        <${Id} name="counseling" id=${session.counselingId} />
        <${Id} name="clientId" id=${session.clientId} />
      </dl>
    </section>
  `;
}

/** An id, to copy. @param {{name: string, id: string}} props */
const Id = ({ name, id }) => html`
  <div>
    <dt>${t(`console.fact.${name}`)}</dt>
    <dd class="row id"><code>${id}</code>${navigator.clipboard && html`<${Button} kind="quiet" icon="file" label=${t("console.copy", { what: t(`console.fact.${name}`) })} onPress=${() => navigator.clipboard.writeText(id).then(() => say(t("console.copied")), () => {})} />`}</dd>
  </div>
`;
