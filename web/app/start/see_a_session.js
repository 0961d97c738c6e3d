/** "See a session": client and psychologist side by side, each in a frame, and a guide that points at what happens. */
import { useEffect, useState } from "preact/hooks";
import { addressOf, go } from "../router.js";
import { settings } from "../settings.js";
import { addStyle } from "../style.js";
import { addTexts, t } from "../texts.js";
import { Button } from "../ui/button.js";
import { Frame } from "../ui/frame.js";
import { html } from "../ui/html.js";
import { Failed, Skeleton, useLoad } from "../ui/load.js";
import { Api, ServerClock } from "../../client/rdchat.js";

await addStyle(new URL("see_a_session.css", import.meta.url).href);

addTexts({
  id: {
    "see.title": "Satu sesi, dari awal sampai akhir",
    "see.client": "Klien",
    "see.psychologist": "Psikolog",
    "see.step": "Langkah {n} dari {of}",
    "see.0": "Janji sudah dibuat. Pesan otomatis pertama datang dari psikolog; menulis belum bisa.",
    "see.1": "Keduanya menunggu. Chat terbuka sendiri pada waktunya: tidak ada yang bisa membukanya dengan tangan.",
    "see.2": "Chat terbuka. Tulis sesuatu di kedua sisi: lihat siapa yang mengetik, dan kapan pesan dibaca.",
    "see.3": "Sebentar lagi berakhir: kini keduanya melihat tombol untuk mengakhiri sesi.",
    "see.4": "Sesi berakhir dengan pesan penutup. Percakapan tetap bisa dibaca dan disimpan.",
    "see.again": "Sekali lagi",
    "see.leave": "Selesai",
  },
  en: {
    "see.title": "One session, from beginning to end",
    "see.client": "Client",
    "see.psychologist": "Psychologist",
    "see.step": "Step {n} of {of}",
    "see.0": "A session is booked. The first automated message comes from the psychologist; neither can write yet.",
    "see.1": "Both wait. The chat opens by itself when it is time: it cannot be opened by hand.",
    "see.2": "The chat is open. Write on both sides: see who is typing, and when a message is read.",
    "see.3": "It ends soon: now both see the button that ends the session.",
    "see.4": "The session ends with a closing message. The conversation can still be read and kept.",
    "see.again": "Once more",
    "see.leave": "Done",
  },
});

const STEPS = 5;
const LOOK_MS = 1_000;

/** @param {AbortSignal} signal */
async function begin(signal) {
  const answer = await fetch(`${settings.base}/app/rehearsal`, { method: "POST", signal, headers: { "Content-Type": "application/json" }, body: "{}" });
  const said = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.message), { code: said.code, status: answer.status });
  return said.data;
}

/** @param {any} session */
function stepOf(session) {
  if (session === null) return 0;
  if (session.status === "pending") return session.lastSeq > 0 ? 1 : 0;
  return { active: 2, ending_soon: 3 }[/** @type {"active" | "ending_soon"} */ (session.status)] ?? 4;
}

/** Look at the session until it is over. @param {any} given @returns {any} */
function useSession(given) {
  const [session, setSession] = useState(/** @type {any} */ (null));
  useEffect(() => {
    if (given === undefined) return undefined;
    setSession(null);
    const api = new Api({ baseUrl: location.origin + settings.base, getToken: () => Promise.resolve(given.psychologist.token), clock: new ServerClock() });
    const look = () => api.get(`/chat/sessions/${given.sessionId}`).then(setSession, () => {});
    const timer = setInterval(look, LOOK_MS);
    void look();
    return () => clearInterval(timer);
  }, [given]);
  return session;
}

export function Room() {
  const { data, error, isLoading, reload } = useLoad(begin, []);
  const session = useSession(data);
  const step = stepOf(session);
  if (data === undefined || isLoading) {
    return html`<${Frame} title=${t("see.title")}><div class="page">${error && !isLoading ? html`<${Failed} error=${error} onRetry=${reload} />` : html`<${Skeleton} />`}</div><//>`;
  }
  const frame = (/** @type {any} */ person, /** @type {string} */ to) => `${addressOf(to)}?embedded#token=${person.token}`;
  return html`
    <${Frame} title=${t("see.title")} full>
      <div class="see">
        <div class="see-guide">
          <div class="grow">
            <h1>${t("see.title")}</h1>
            <p role="status"><strong>${t("see.step", { n: step + 1, of: STEPS })}.</strong> ${t(`see.${step}`)}</p>
            <div class="see-steps" aria-hidden="true">${Array.from({ length: STEPS }, (_, n) => html`<span key=${n} class=${n <= step ? "done" : ""}></span>`)}</div>
          </div>
          ${step === STEPS - 1 && html`<${Button} icon="reload" onPress=${reload}>${t("see.again")}<//>`}
          <${Button} kind=${step === STEPS - 1 ? "primary" : ""} onPress=${() => go("/")}>${t("see.leave")}<//>
        </div>
        <div class="see-sides">
          <figure key=${`client ${data.sessionId}`}><figcaption>${t("see.client")}: ${data.client.person.fullName}</figcaption><iframe title=${t("see.client")} src=${frame(data.client, `/chat/${data.sessionId}`)}></iframe></figure>
          <figure key=${`psychologist ${data.sessionId}`}><figcaption>${t("see.psychologist")}: ${data.psychologist.person.fullName}</figcaption><iframe title=${t("see.psychologist")} src=${frame(data.psychologist, `/chats/${data.sessionId}`)}></iframe></figure>
        </div>
      </div>
    <//>
  `;
}
