/** Keeps the focus on the page when what had it is gone: the link that led here, a button that has done its work. */

/** @type {Element | null} */
let last = null;

/** Go on in what is new, without scrolling. At first nothing has the focus, and nothing takes it. */
function recover() {
  if (last === null || last.isConnected || document.activeElement !== document.body) return;
  document.getElementById("main")?.focus({ preventScroll: true });
}

/** Watch what is drawn, for as long as the page lives. A screen that sets the focus itself does so later, and stays right. */
export function keepFocus() {
  addEventListener("focusin", (event) => {
    last = /** @type {Element} */ (event.target);
  });
  new MutationObserver(recover).observe(document.body, { childList: true, subtree: true });
}
