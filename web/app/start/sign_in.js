/** The first screen: who are you? In development a choice of people; otherwise the way to one's provider. */
import { useState } from "preact/hooks";
import { signInAs } from "../identity.js";
import { go, Link } from "../router.js";
import { settings } from "../settings.js";
import { addTexts, t } from "../texts.js";
import { Avatar } from "../ui/avatar.js";
import { Button } from "../ui/button.js";
import { Frame } from "../ui/frame.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";
import { Failed, Skeleton, useLoad } from "../ui/load.js";
import { attempt } from "../ui/toasts.js";

addTexts({
  id: {
    "start.title": "Selamat datang",
    "start.text": "Konseling lewat chat, pada waktu yang Anda pilih.",
    "start.off": "Masuk lewat halaman ini belum diatur.",
    "start.signIn": "Masuk",
    "start.choose": "Masuk sebagai",
    "start.development": "Layanan ini untuk mencoba: orang-orang di bawah ini rekaan.",
    "start.see": "Lihat satu sesi",
    "start.see.text": "Klien dan psikolog berdampingan, dari awal sampai akhir, dalam dua menit.",
    "role.client": "Klien",
    "role.student": "Mahasiswa",
    "role.employee": "Karyawan",
    "role.psychologist": "Psikolog",
    "role.supervisor": "Supervisor",
    "role.super_admin": "Administrator",
  },
  en: {
    "start.title": "Welcome",
    "start.text": "Counselling by chat, at a time of your choice.",
    "start.off": "Signing in on this page is not set up.",
    "start.signIn": "Sign in",
    "start.choose": "Sign in as",
    "start.development": "This service is for trying things: the people below are invented.",
    "start.see": "See a session",
    "start.see.text": "Client and psychologist side by side, from beginning to end, in two minutes.",
    "role.client": "Client",
    "role.student": "Student",
    "role.employee": "Employee",
    "role.psychologist": "Psychologist",
    "role.supervisor": "Supervisor",
    "role.super_admin": "Administrator",
  },
});

const order = ["client", "student", "employee", "psychologist", "supervisor", "super_admin"];

async function listPeople(/** @type {AbortSignal} */ signal) {
  const answer = await fetch(`${settings.base}/app/people`, { signal });
  if (!answer.ok) throw Object.assign(new Error("no people"), { code: "UNAVAILABLE" });
  return (await answer.json()).data.sort((/** @type {any} */ one, /** @type {any} */ other) => order.indexOf(one.role) - order.indexOf(other.role));
}

function People() {
  const { data, error, reload } = useLoad(listPeople, []);
  const [entering, setEntering] = useState("");
  const enter = async (/** @type {string} */ id) => {
    if (entering) return;
    setEntering(id);
    await attempt(async () => {
      await signInAs(id);
      go("/", { replace: true });
    });
    setEntering("");
  };
  if (data === undefined) return error ? html`<${Failed} error=${error} onRetry=${reload} />` : html`<${Skeleton} rows=${7} />`;
  return html`
    <${Link} to="/see" class="card row">
      <span class="avatar"><${Icon} name="play" /></span>
      <span class="grow"><strong>${t("start.see")}</strong><br /><span class="small soft">${t("start.see.text")}</span></span>
      <${Icon} name="right" />
    <//>
    <section class="stack-s">
      <h2>${t("start.choose")}</h2>
      <p class="small soft">${t("start.development")}</p>
      <ul class="card list people">
        ${data.map(
          (/** @type {any} */ person) => html`
            <li key=${person.id}>
              <button class="list-link" aria-busy=${entering === person.id || undefined} aria-disabled=${entering !== "" || undefined} onClick=${() => enter(person.id)}>
                <${Avatar} person=${person} />
                <span class="grow"><strong>${person.fullName}</strong><br /><span class="small soft">${t(`role.${person.role}`)}</span></span>
                <${Icon} name="right" />
              </button>
            </li>
          `,
        )}
      </ul>
    </section>
  `;
}

const signInAtProvider = async () => (await import("../sign_in/oidc.js")).signIn();

export const SignIn = () => html`
  <${Frame} title=${t("start.signIn")}>
    <div class="page">
      <div class="stack-s"><h1>${t("start.title")}</h1><p class="soft">${t("start.text")}</p></div>
      ${settings.signIn === "people" && html`<${People} />`}
      ${settings.signIn === "oidc" && html`<div><${Button} kind="primary" onPress=${() => attempt(signInAtProvider)}>${t("start.signIn")}<//></div>`}
      ${settings.signIn === "off" && html`<p>${t("start.off")}</p>`}
    </div>
  <//>
`;
