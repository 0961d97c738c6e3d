/** The means to go through the frames of a replay: a slider, steps, and play. Without any knowledge of who looks. */
import { useEffect, useState } from "preact/hooks";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";

const PACE_MS = 1_200;

/**
 * Where a replay is. At its end it follows what is added.
 *
 * @param {number} length how many frames there are
 */
export function useReplay(length) {
  const last = Math.max(0, length - 1);
  const [chosen, setChosen] = useState(/** @type {number | null} */ (null));
  const [isPlaying, setPlaying] = useState(false);
  const place = chosen === null ? last : Math.min(chosen, last);
  const move = (/** @type {number} */ to) => setChosen(to >= last ? null : Math.max(0, to));
  useEffect(() => {
    if (!isPlaying) return undefined;
    if (place >= last) {
      setPlaying(false);
      return undefined;
    }
    const timer = setTimeout(() => move(place + 1), PACE_MS);
    return () => clearTimeout(timer);
  }, [isPlaying, place, last]);
  const toggle = () => {
    if (!isPlaying && place >= last) setChosen(0);
    setPlaying(!isPlaying && last > 0);
  };
  const go = (/** @type {number} */ to) => {
    setPlaying(false);
    move(to);
  };
  return { place, last, isPlaying, isAtEnd: place === last, toggle, go };
}

/**
 * @typedef {object} ReplayWords
 * @property {string} slider
 * @property {string} play
 * @property {string} pause
 * @property {string} previous
 * @property {string} next
 * @property {string} now what is to be seen at this place, in one line
 */

/** @param {{replay: ReturnType<typeof useReplay>, words: ReplayWords}} props */
export function ReplayControls({ replay, words }) {
  const { place, last, isPlaying, toggle, go } = replay;
  return html`
    <div class="replay" data-place=${place}>
      <div class="replay-buttons">
        <${Button} kind="quiet" icon="left" label=${words.previous} onPress=${() => go(place - 1)} />
        <${Button} icon=${isPlaying ? "pause" : "play"} label=${isPlaying ? words.pause : words.play} onPress=${toggle} />
        <${Button} kind="quiet" icon="right" label=${words.next} onPress=${() => go(place + 1)} />
      </div>
      <input type="range" min="0" max=${last} step="1" value=${place} aria-label=${words.slider} aria-valuetext=${words.now} onInput=${(/** @type {any} */ event) => go(Number(event.target.value))} />
      <p class="small numbers replay-now">${words.now}</p>
    </div>
  `;
}
