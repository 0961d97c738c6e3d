/** Recording one's voice, in the form that the browser makes and the service takes. */
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { left } from "../ui/time.js";
import { say } from "../ui/toasts.js";

const FORMS = [["audio/webm;codecs=opus", "webm"], ["audio/ogg;codecs=opus", "ogg"], ["audio/mp4", "m4a"]];

/**
 * @param {{onDone: (recording: Blob | null, fileName: string, isWanted: boolean) => void}} props null where there is none;
 *   `isWanted`: its speaker has ended it. Otherwise the microphone was taken away: they then decide.
 */
export function Recorder({ onDone }) {
  const [seconds, setSeconds] = useState(0);
  const recorder = useRef(/** @type {MediaRecorder | null} */ (null));
  const done = useRef(onDone);
  done.current = onDone;
  const isWanted = useRef(/** @type {boolean | null} */ (null));
  useEffect(() => {
    let isGone = false;
    /** @type {MediaStream | null} */
    let stream = null;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    let timer;
    const [type, ending] = FORMS.find(([form]) => MediaRecorder.isTypeSupported(form)) ?? ["", "webm"];
    const begin = async () => {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      if (isGone) return release();
      const made = new MediaRecorder(stream, type ? { mimeType: type } : {});
      recorder.current = made;
      /** @type {Blob[]} */
      const pieces = [];
      made.ondataavailable = (event) => pieces.push(event.data);
      made.onstop = () => {
        release();
        if (isGone || isWanted.current === false) return done.current(null, "", false);
        const recording = new Blob(pieces, { type: made.mimeType.split(";")[0] });
        return done.current(recording.size > 0 ? recording : null, `voice.${ending}`, isWanted.current === true);
      };
      made.start();
      timer = setInterval(() => setSeconds((one) => one + 1), 1000);
    };
    const release = () => stream?.getTracks().forEach((track) => track.stop());
    begin().catch(() => {
      say(t("chat.record.refused"));
      if (!isGone) done.current(null, "", false);
    });
    return () => {
      isGone = true;
      clearInterval(timer);
      release();
    };
  }, []);
  const stop = (/** @type {boolean} */ wanted) => {
    isWanted.current = wanted;
    if (recorder.current?.state === "recording") recorder.current.stop();
    // Where it has just stopped by itself, what it has comes in a moment.
    else if (recorder.current === null) onDone(null, "", false);
  };
  return html`
    <div class="composer">
      <${Button} kind="quiet" icon="close" label=${t("chat.record.drop")} onPress=${() => stop(false)} />
      <p class="grow numbers" role="status">${t("chat.recording", { time: left(seconds * 1000) })}</p>
      <${Button} kind="primary" icon="check" onPress=${() => stop(true)}>${t("chat.record.stop")}<//>
    </div>
  `;
}
