// Shows the page anew when something has changed, and how far running jobs are.
// Without this file, or without scripts, the page is the same and stands still.
(() => {
  "use strict";
  if (!window.EventSource || !window.fetch) return;
  const only = document.body.dataset.job; // on the page of a job: what concerns it alone
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

  // What an event is about; an event that can't be read is about nothing.
  const about = (event) => { try { return JSON.parse(event.data); } catch { return {}; } };

  const progress = (event) => {
    const what = about(event);
    if (!what.progress || only && String(what.job_id) !== only) return;
    const place = document.querySelector(`[data-progress="${Number(what.job_id)}"]`);
    if (place) place.textContent = what.progress.text; else changed(); // the first of its job
  };

  // A browser has few connections: a page that nobody sees must not hold one.
  const watch = () => {
    if (document.hidden) { if (events) events.close(); events = null; return; }
    if (events) return;
    if (stale) changed();
    events = new EventSource("/1.0/events");
    events.addEventListener("progress", progress);
    if (only) {
      events.addEventListener("reset", changed);
      events.addEventListener("job", (event) => { if (String(about(event).job_id) === only) changed(); });
      return;
    }
    for (const kind of ["reset", "queue", "job", "lorry", "host", "hold", "rewrite", "adapter", "minion", "config"]) {
      events.addEventListener(kind, changed);
    }
  };
  document.addEventListener("visibilitychange", () => { if (document.hidden) stale = true; watch(); });
  watch();
})();
