// A page that comes back with errors says so in its title and begins at them: of an alert that was there from the start a
// screen reader says nothing.
(() => {
  const wrong = document.querySelector("main .alert-danger[tabindex='-1']:not(.d-none), main [aria-invalid=true]");
  if (!wrong) return;
  document.title = `Error: ${document.title}`;
  wrong.focus();
})();
