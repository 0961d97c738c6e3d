/** Booking, step by step: a time, then what is said about it, then what happens next. */
import { useEffect, useRef, useState } from "preact/hooks";
import { identity } from "../identity.js";
import { language } from "../preferences.js";
import { go, query } from "../router.js";
import { t } from "../texts.js";
import { html } from "../ui/html.js";
import { Failed, Skeleton, useLoad } from "../ui/load.js";
import { clockTime } from "../ui/time.js";
import { Booked } from "./booked.js";
import "./booking_texts.js";
import { ClientFrame } from "./client_frame.js";
import { Confirm } from "./confirm.js";
import { newKey } from "./counselings.js";
import { api } from "./live.js";
import { allowedLengths, loadPsychologists, Picker, usualLength } from "./picker.js";
import { zone } from "./zones.js";

/** @typedef {import("./times.js").Slot} Slot */

/** Someone else was faster: the times are to be looked at again. */
const TAKEN = ["PSYCHOLOGIST_LIMIT", "NO_PSYCHOLOGIST"];
const DRAFT = /** @type {[string, string]} */ (["booking", "notes"]);

/** Notes that survive a reload, and are forgotten at sign-out. @returns {[string, (text: string) => void]} */
function useNotes() {
  const [notes, setNotes] = useState("");
  const isTouched = useRef(false);
  useEffect(() => {
    void identity.peek()?.rdchat.storage.list(DRAFT[0]).then((kept) => {
      if (!isTouched.current && kept.has(DRAFT[1])) setNotes(kept.get(DRAFT[1]));
    });
  }, []);
  const change = (/** @type {string} */ text) => {
    isTouched.current = true;
    setNotes(text);
    const storage = identity.peek()?.rdchat.storage;
    void (text === "" ? storage?.delete(...DRAFT) : storage?.put(...DRAFT, text));
  };
  return [notes, change];
}

export function Booking() {
  const lengths = allowedLengths();
  const [wish, setWish] = useState(() => ({ psychologistId: query.peek().with ?? "", length: usualLength(lengths) }));
  const [slot, setSlot] = useState(/** @type {Slot | null} */ (null));
  const [booked, setBooked] = useState(/** @type {any} */ (null));
  const [taken, setTaken] = useState("");
  const [notes, setNotes] = useNotes();
  const view = useRef({ month: "", day: /** @type {string | null} */ (null) });
  const attempted = useRef({ body: "", key: "" });
  const people = useLoad(loadPsychologists, []);
  const step = query.value.step;
  useEffect(() => {
    // An address that leads into the middle, without what was chosen before.
    if (step === "confirm" && slot === null) go("/book", { replace: true });
    if (step === "done" && booked === null) go(query.peek().id ? `/counselings/${query.peek().id}` : "/book", { replace: true });
    if (step === undefined && booked !== null) setBooked(null);
  }, [step]);
  const choose = (/** @type {Slot} */ chosen) => {
    setTaken("");
    setSlot(chosen);
    go("/book?step=confirm");
  };

  /** @param {{method: string, psychologistId: string}} how @returns {Promise<void>} an ApiError that the reader can do something about is thrown on */
  const book = async ({ method, psychologistId }) => {
    if (slot === null) return;
    const body = {
      method,
      startsAt: slot.startsAt,
      endsAt: slot.endsAt,
      timezone: zone.value,
      language: language.value,
      ...(notes.trim() && { notes: notes.trim() }),
      ...(psychologistId && { psychologistId }),
    };
    // The same wish keeps its key, however often it has to be sent; another wish is another booking.
    const written = JSON.stringify(body);
    if (attempted.current.body !== written) attempted.current = { body: written, key: newKey() };
    try {
      const made = await api().post("/counselings/book", { body, headers: { "Idempotency-Key": attempted.current.key } });
      setNotes("");
      setBooked(made);
      setSlot(null);
      attempted.current = { body: "", key: "" };
      go(`/book?step=done&id=${made.id}`, { replace: true });
    } catch (error) {
      const refusal = /** @type {import("../../client/api.js").ApiError} */ (error);
      if (!refusal.isTemporary) attempted.current = { body: "", key: "" };
      if (!TAKEN.includes(refusal.code)) throw error;
      setTaken(clockTime(slot.startsAt, zone.value));
      setSlot(null);
      go("/book", { replace: true });
    }
  };

  if (step === "done" && booked !== null) return html`<${Booked} counseling=${booked} />`;
  if (step === "confirm" && slot !== null) return html`<${Confirm} slot=${slot} chosenId=${wish.psychologistId} notes=${notes} onNotes=${setNotes} onBook=${book} />`;
  return html`
    <${ClientFrame} title=${t("book.title")} wide>
      <div class="stack-s"><h1>${t("book.title")}</h1><p class="soft">${t("book.intro")}</p></div>
      ${taken && html`<p class="notice" role="alert">${t("book.taken", { time: taken })}</p>`}
      ${people.data === undefined
        ? people.error && !people.isLoading
          ? html`<${Failed} error=${people.error} onRetry=${people.reload} />`
          : html`<${Skeleton} rows=${4} />`
        : html`<${Picker} wish=${wish} onWish=${setWish} onChoose=${choose} view=${view.current} psychologists=${people.data} />`}
    <//>
  `;
}
