// A page that comes back with errors says so in its title and begins at them: of an alert that was there from the start a
// screen reader says nothing.
(() => {
  const wrong = document.querySelector("main .alert-danger[tabindex='-1']:not(.d-none), main [aria-invalid=true]");
  if (!wrong) return;
  document.title = `Error: ${document.title}`;
  wrong.focus();
})();

// A part that could not be renewed stays as it was, which its reader cannot see.
(() => {
  let told = null, part = null;
  const tell = (event) => {
    if (told?.isConnected || event.detail.requestConfig.verb !== "get") return;
    part = event.detail.elt;
    told = document.getElementById("not-renewed").content.firstElementChild.cloneNode(true);
    document.getElementById("messages").append(told);
  };
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(name, tell);
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful && event.detail.elt === part) told.remove();
  });
})();
