/** What was given up: automations, reminders and webhooks, to try again or to drop. */
import { identity } from "../identity.js";
import { Link } from "../router.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { confirm } from "../ui/dialog.js";
import { html } from "../ui/html.js";
import { Empty } from "../ui/load.js";
import { attempt, say } from "../ui/toasts.js";
import { moment, number, shortId } from "./figures.js";
import { api, Pages, usePages } from "./pages.js";
import { Screen } from "./screen.js";

/** Without its end a session would stay open for good: the service does not let it be dropped. */
const KEPT = "auto_end";

/**
 * @param {"retry" | "drop"} verb
 * @param {any} letter
 * @param {() => unknown} reload
 */
async function change(verb, letter, reload) {
  const kind = t(`trigger.${letter.kind}`);
  const isSure = await confirm({ title: t(`console.${verb}.ask`, { kind }), text: t(`console.${verb}.text`, { kind }), verb: t(`console.${verb}`), danger: verb === "drop" });
  if (!isSure) return;
  await attempt(async () => {
    const { count } = await api().post(`/operations/dead-letters/${verb}`, { body: { subjectId: letter.subjectId, kind: letter.kind } });
    say(count > 0 ? t(`console.${verb}.done`, { kind }) : t("console.dead.gone"));
  });
  await reload();
}

/** @param {any[] | null} webhooks null: all of them @param {() => unknown} reload */
async function sendAgain(webhooks, reload) {
  const isSure = await confirm({ title: t("console.webhooks.ask"), text: t(webhooks === null ? "console.webhooks.all.text" : "console.webhooks.text", { place: webhooks?.[0].endpoint ?? "" }), verb: t("console.retry") });
  if (!isSure) return;
  await attempt(async () => {
    const { count } = await api().post("/operations/dead-webhooks/retry", { body: webhooks === null ? {} : { ids: webhooks.map((one) => one.id) } });
    say(count > 0 ? t("console.webhooks.done", { n: number(count) }) : t("console.dead.gone"));
  });
  await reload();
}

export function DeadLetters() {
  const letters = usePages("/operations/dead-letters");
  const webhooks = usePages("/operations/dead-webhooks");
  const reload = () => Promise.all([letters.reload(), webhooks.reload()]);
  const actions = html`<${Link} to="/actions" class="button quiet">${t("console.actions")}<//><${Button} icon="reload" onPress=${reload}>${t("console.reload")}<//>`;
  return html`
    <${Screen} title=${t("console.dead.title")} hint=${t("console.dead.hint")} actions=${actions}>
      <section class="stack" aria-labelledby="letters">
        <h2 id="letters">${t("console.letters")}</h2>
        <${Pages} pages=${letters} empty=${html`<${Empty} icon="check"><p>${t("console.letters.none")}</p><//>`}>${(/** @type {any[]} */ rows) => html`<${Letters} rows=${rows} reload=${letters.reload} />`}<//>
      </section>
      <section class="stack" aria-labelledby="webhooks">
        <div class="row-between">
          <h2 id="webhooks">${t("console.part.webhooks")}</h2>
          ${(webhooks.rows?.length ?? 0) > 1 && html`<${Button} onPress=${() => sendAgain(null, webhooks.reload)}>${t("console.webhooks.all")}<//>`}
        </div>
        <${Pages} pages=${webhooks} empty=${html`<${Empty} icon="check"><p>${t("console.webhooks.none")}</p><//>`}>${(/** @type {any[]} */ rows) => html`<${Webhooks} rows=${rows} reload=${webhooks.reload} />`}<//>
      </section>
    <//>
  `;
}

const now = () => identity.value?.rdchat.clock.now() ?? 0;

/** @param {{rows: any[], reload: () => unknown}} props */
const Letters = ({ rows, reload }) => html`
  <ul class="card list lines">
    ${rows.map((one) => html`
      <li key=${one.id} class="line" data-letter=${one.kind}>
        <div class="grow stack-xs">
          <strong>${t(`trigger.${one.kind}`)}</strong>
          <span class="small numbers">${t("console.letter.due", { time: moment(one.dueAt, now()) })} · ${t("console.letter.failed", { time: moment(one.failedAt, now()), n: number(one.attempts) })}</span>
          <span class="small soft">${one.error} · ${one.sessionId ? html`<${Link} to=${`/sessions/${one.sessionId}`}>${t("console.session")} ${shortId(one.sessionId)}<//>` : `${t("console.counseling")} ${shortId(one.counselingId)}`}</span>
          ${one.kind === KEPT && html`<span class="tiny soft">${t("console.drop.kept")}</span>`}
        </div>
        <div class="row">
          <${Button} icon="reload" label=${`${t("console.retry")}: ${t(`trigger.${one.kind}`)}`} onPress=${() => change("retry", one, reload)}>${t("console.retry")}<//>
          ${one.kind !== KEPT && html`<${Button} kind="danger" label=${`${t("console.drop")}: ${t(`trigger.${one.kind}`)}`} onPress=${() => change("drop", one, reload)}>${t("console.drop")}<//>`}
        </div>
      </li>
    `)}
  </ul>
`;

/** @param {{rows: any[], reload: () => unknown}} props */
const Webhooks = ({ rows, reload }) => html`
  <ul class="card list lines">
    ${rows.map((one) => html`
      <li key=${one.id} class="line">
        <div class="grow stack-xs">
          <strong>${one.type} → ${one.endpoint}</strong>
          <span class="small numbers">${t("console.webhook.made", { time: moment(one.createdAt, now()), n: number(one.attempts) })}</span>
          <span class="small soft">${one.lastStatus === null ? t("console.webhook.silent") : t("console.webhook.status", { n: one.lastStatus })}</span>
        </div>
        <${Button} icon="reload" label=${`${t("console.retry")}: ${one.type}`} onPress=${() => sendAgain([one], reload)}>${t("console.retry")}<//>
      </li>
    `)}
  </ul>
`;
