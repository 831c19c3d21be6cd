// Shows the page anew when something has changed. Without this file, or without
// scripts, the page is the same and stands still.
(() => {
  "use strict";
  if (!window.EventSource || !window.fetch) return;
  const pause = 3000; // milliseconds between two loads, however much changes
  let events = null, timer = null, stale = false;

  const busy = () => /^(INPUT|SELECT|TEXTAREA|BUTTON)$/.test((document.activeElement || {}).tagName || "");

  const load = async () => {
    timer = null;
    if (document.hidden) { stale = true; return; }
    if (busy()) { changed(); return; } // nobody likes a form that is taken away
    stale = false;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected) return;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
      if (next && !busy()) document.getElementById("main").replaceWith(next);
    } catch { /* the next event tries again */ }
  };

  const changed = () => { timer ??= setTimeout(load, pause); };

  // A browser has few connections: a page that nobody sees must not hold one.
  const watch = () => {
    if (document.hidden) { if (events) events.close(); events = null; return; }
    if (events) return;
    if (stale) changed();
    events = new EventSource("/1.0/events");
    for (const kind of ["reset", "queue", "job", "lorry", "host", "hold", "rewrite", "adapter", "minion", "config"]) {
      events.addEventListener(kind, changed);
    }
  };
  document.addEventListener("visibilitychange", () => { if (document.hidden) stale = true; watch(); });
  watch();
})();
