/** Pictures, voice and files: with links that serve for minutes, and are fetched again when they have run out. */
import { useEffect, useState } from "preact/hooks";
import { identity } from "../identity.js";
import { t } from "../texts.js";
import { Button } from "../ui/button.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icon.js";

/** @param {number} bytes */
function size(bytes) {
  if (bytes < 1024 * 1024) return `${Math.max(1, Math.round(bytes / 1024))} KB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

/** @param {{attachment: any, name: string, isMine: boolean}} props */
export function AttachmentView({ attachment, name, isMine }) {
  const [url, setUrl] = useState(/** @type {string | null} */ (null));
  const [hasFailed, setFailed] = useState(false);
  const [isSecond, setSecond] = useState(false);
  const load = async (/** @type {boolean} */ isAgain) => {
    setFailed(false);
    try {
      setUrl((await identity.value?.rdchat.linkTo(isAgain ? { id: attachment.id } : attachment)) ?? null);
    } catch {
      setFailed(true);
    }
  };
  useEffect(() => void load(false), [attachment.id]);
  // The link has run out, or the net has broken off: once by itself, then by hand.
  const failed = () => {
    if (isSecond) return setFailed(true);
    setSecond(true);
    void load(true);
  };
  const { contentType, fileName } = attachment;
  if (hasFailed) {
    return html`<div class="attachment"><p class="small">${t("chat.file.failed")}</p><${Button} icon="reload" onPress=${() => load(true)}>${t("app.retry")}<//></div>`;
  }
  if (contentType.startsWith("image/")) {
    const words = isMine ? t("chat.picture.mine") : t("chat.picture", { name });
    const { width, height } = attachment;
    return html`
      <div class="attachment">
        <a href=${url ?? undefined} target="_blank" rel="noreferrer noopener">
          <img src=${url ?? undefined} alt=${words} width=${width} height=${height} loading="lazy" decoding="async" onError=${() => url && failed()} style=${fitted(width, height)} />
        </a>
      </div>
    `;
  }
  if (contentType.startsWith("audio/")) {
    return html`<div class="attachment"><audio controls preload="metadata" src=${url ?? undefined} aria-label=${t("chat.voice")} onError=${() => url && failed()}></audio></div>`;
  }
  return html`
    <div class="attachment">
      <a class="file" href=${url ?? undefined} download=${fileName} aria-label=${t("chat.download", { name: fileName })}>
        <${Icon} name="file" /><span><span dir="auto">${fileName}</span> <span class="tiny soft">${size(attachment.size)}</span></span>
      </a>
    </div>
  `;
}

/** The place of a picture before it is there, so that nothing jumps. @param {number} [width] @param {number} [height] */
function fitted(width, height) {
  if (!width || !height) return undefined;
  const scale = Math.min(1, 320 / width, 320 / height);
  return { width: `${Math.round(width * scale)}px`, height: "auto", aspectRatio: `${width} / ${height}` };
}

/** A file that is being sent. @param {{pending: any}} props */
export function PendingFile({ pending }) {
  const [url, setUrl] = useState("");
  const isPicture = pending.file.type.startsWith("image/");
  useEffect(() => {
    if (!isPicture) return undefined;
    const made = URL.createObjectURL(pending.file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [pending.file]);
  const share = Math.round(pending.progress * 100);
  return html`
    <div class="attachment">
      ${isPicture && url ? html`<img src=${url} alt=${t("chat.picture.mine")} />` : html`<span class="file"><${Icon} name="file" /><span dir="auto">${pending.fileName}</span></span>`}
      ${pending.state === "sending" && html`<progress max="100" value=${share} aria-label=${t("chat.uploading", { n: share })}></progress>`}
    </div>
  `;
}
