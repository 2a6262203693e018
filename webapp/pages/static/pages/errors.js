// A page begins at what came of an action, and of errors says so in its title: of words that were there from the start a
// screen reader says nothing. Who goes back to a page finds the place that they left.
(() => {
  const wrong = document.querySelector("main .alert-danger[tabindex='-1']:not(.d-none), main [aria-invalid=true]");
  if (wrong) document.title = `Error: ${document.title}`;
  const back = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
  const came = back ? null : document.querySelector("main :is(.alert, .card)[tabindex='-1']:not(.d-none)");
  (wrong ?? came)?.focus();
})();

// A part that could not be renewed stays as it was, which its reader cannot see. What the clock renews is asked for again
// anyway; what an event renews would not be, so it is tried here. A part that was swapped whole is out of the page by the
// time that htmx says so: its request alone still knows it.
(() => {
  const failed = new Map(); // parts, with the timer of the next try
  let told = null;
  const tell = (event) => {
    const { elt, triggeringEvent, verb } = event.detail.requestConfig;
    if (verb !== "get") return;
    clearTimeout(failed.get(elt));
    failed.set(elt, triggeringEvent && setTimeout(() => htmx.trigger(elt, "renew"), 5000));
    if (told?.isConnected) return;
    told = document.getElementById("not-renewed").content.firstElementChild.cloneNode(true);
    document.getElementById("messages").append(told);
  };
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(name, tell);
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt } = event.detail.requestConfig;
    if (!event.detail.successful || !failed.has(elt)) return;
    clearTimeout(failed.get(elt));
    failed.delete(elt);
    if (!failed.size) told.remove();
  });
})();
