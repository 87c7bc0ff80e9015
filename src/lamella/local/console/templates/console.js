// Keeps what is marked data-live current. Without this script the page is as good after a reload.
"use strict";
let waiting = false;

async function refresh() {
  if (waiting || document.hidden || !document.querySelector("[data-live]")) return;
  waiting = true;
  try {
    const answer = await fetch(location.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of document.querySelectorAll("[data-live]")) {
      const current = page.getElementById(old.id);
      if (!current || current.outerHTML === old.outerHTML) continue;
      const focused = old.contains(document.activeElement) && document.activeElement.getAttribute("href");
      old.replaceWith(document.adoptNode(current));
      if (focused) current.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
    }
  } catch {
    // lamella run has ended, or starts anew: the next try says.
  } finally {
    waiting = false;
  }
}

new EventSource("/changes").onmessage = refresh;
setInterval(refresh, 2000);
