/** Signs, drawn here: 24 by 24, one stroke. They only accompany words, or carry a label of their button. */
import { html } from "./html.js";

const PATHS = {
  archive: "M4 7h16v13H4zM3 3h18v4H3zM10 11h4",
  attach: "M20 11.5 12 19.5a5 5 0 0 1-7-7l8.5-8.5a3.3 3.3 0 0 1 4.7 4.7l-8.5 8.5a1.7 1.7 0 0 1-2.4-2.4L15 7",
  back: "M19 12H5m6-6-6 6 6 6",
  bell: "M6 16V11a6 6 0 1 1 12 0v5l2 2H4zM10 21h4",
  calendar: "M4 5h16v16H4zM4 10h16M8 3v4M16 3v4",
  chart: "M4 20V4M4 20h16M8 16v-4M12 16V8M16 16v-6",
  chat: "M4 5h16v11H9l-5 4z",
  check: "m5 12.5 4.5 4.5L19 7.5",
  checks: "m2 12.5 4.5 4.5L16 7.5M11 16l1 1 9.5-9.5",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3.5 2",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  down: "m6 9 6 6 6-6",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  end: "M15 4h5v16h-5M10 8l-4 4 4 4M6 12h10",
  file: "M6 3h8l5 5v13H6zM14 3v5h5",
  help: "M12 20s-8-4.6-8-10.3A4.5 4.5 0 0 1 12 7a4.5 4.5 0 0 1 8 2.7C20 15.4 12 20 12 20z",
  keyboard: "M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M7 14h10M18 10h.01",
  left: "m15 6-6 6 6 6",
  list: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  microphone: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM6 11a6 6 0 0 0 12 0M12 17v4",
  minus: "M5 12h14",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  note: "M5 4h14v10l-6 6H5zM13 20v-6h6",
  offline: "M3 3l18 18M8.5 8.5A10 10 0 0 0 5 11m7-4a10 10 0 0 1 7 4M8 15a5.6 5.6 0 0 1 7-1M12 19h.01",
  pause: "M8 5v14M16 5v14",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20a6.5 6.5 0 0 1 13 0M16 4.3a3.5 3.5 0 0 1 0 6.4M18 14.5a6.5 6.5 0 0 1 3.5 5.5",
  play: "M7 4.5v15l12-7.5z",
  plus: "M12 5v14M5 12h14",
  reload: "M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6",
  right: "m9 6 6 6-6 6",
  send: "M4 12 20 4l-5 16-3.5-6.5z",
  settings: "M4 7h10m4 0h2M4 17h4m4 0h8M14 4.5v5M8 14.5v5",
  stop: "M7 7h10v10H7z",
  swap: "M4 8h14l-4-4M20 16H6l4 4",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
  up: "m6 15 6-6 6 6",
  user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5a7.5 7.5 0 0 1 15 0",
  warning: "M12 4 2.5 20h19zM12 10v4.5M12 17.2h.01",
};

/** @param {{name: keyof typeof PATHS}} props */
export const Icon = ({ name }) => html`
  <svg viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
    <path d=${PATHS[name]} />
  </svg>
`;
