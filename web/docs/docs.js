"use strict";

// Nothing here is needed for reading. What only a script can do is made by the script.
{
  const menu = document.getElementById("menu");
  const filter = document.getElementById("filter");
  const token = document.getElementById("token");
  const found = document.getElementById("found");
  const narrow = matchMedia("(max-width: 899px)");

  document.documentElement.classList.add("js");
  document.getElementById("tools").hidden = false;

  // ---- the menu: beside the text where there is room, folded up above it where there is none
  const fold = () => {
    menu.open = !narrow.matches;
  };
  fold();
  narrow.addEventListener("change", fold);
  menu.addEventListener("click", (event) => {
    if (event.target.closest("a")) fold();
  });

  // ---- the examples: the service's address, and the reader's token, which is never stored
  const fill = (kind, text) => {
    for (const place of document.querySelectorAll(`[data-fill="${kind}"]`)) place.textContent = text;
  };
  fill("origin", document.getElementById("main").dataset.base);
  token.addEventListener("input", () => {
    // Only what a JWT can consist of: the text ends up in a command line.
    fill("token", token.value.replace(/[^\w.-]/g, "") || "$TOKEN");
  });

  for (const panel of document.querySelectorAll(".panel")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy: ${panel.querySelector("figcaption").textContent}`);
    const text = panel.querySelector("code");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch {
        // Without a secure context there is no clipboard; what is selected can be copied by hand.
        getSelection().selectAllChildren(text);
        button.textContent = "Selected";
      }
      setTimeout(() => {
        button.textContent = "Copy";
      }, 1500);
    });
    panel.querySelector("figcaption").append(button);
  }

  // ---- the filter: every word must occur in an operation's method, path, summary, tag or error codes
  const operations = [...document.querySelectorAll("article[data-find]")];
  const groups = [...document.querySelectorAll(".group")];
  const entries = new Map([...document.querySelectorAll("li[data-for]")].map((entry) => [entry.dataset.for, entry]));
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const operation of operations) {
      const fits = words.every((word) => operation.dataset.find.includes(word));
      operation.hidden = !fits;
      entries.get(operation.id).hidden = !fits;
      count += fits;
    }
    for (const group of groups) group.hidden = !group.querySelector("[data-find]:not([hidden]), [data-for]:not([hidden])");
    for (const section of document.querySelectorAll(".intro")) section.hidden = words.length > 0;
    found.textContent = words.length ? `${count} of ${operations.length} operations` : "";
  });

  // ---- where the reader is
  const inSight = new Set();
  const watcher = new IntersectionObserver(
    (changes) => {
      for (const change of changes) inSight[change.isIntersecting ? "add" : "delete"](change.target);
      const first = operations.find((operation) => inSight.has(operation));
      for (const [id, entry] of entries) {
        const link = entry.firstElementChild;
        if (first?.id === id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    },
    { rootMargin: "-10% 0px -60% 0px" },
  );
  for (const operation of operations) watcher.observe(operation);
}
