/** Lengths of time in few words, where seconds do not matter. */
import { t } from "../texts.js";

const MINUTE_MS = 60_000;

/** `kurang dari 1 mnt`, `12 mnt`, `1 jam 5 mnt`. @param {number} ms */
export function length(ms) {
  const minutes = Math.floor(Math.max(0, ms) / MINUTE_MS);
  if (minutes < 1) return t("length.moment");
  if (minutes < 60) return t("length.minutes", { minutes });
  return t(minutes % 60 === 0 ? "length.hours" : "length.both", { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
}
