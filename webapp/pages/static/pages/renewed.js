// What htmx renews on a page in use: nothing opens, closes or vanishes under a press. htmx itself gives the focus
// back to what has an id; where that is gone, the focus stays in the page's content.
(() => {
  let pressed = null; // by a pointer or by the space bar
  const late = new Set(); // what could not be renewed meanwhile
  const opened = new Map(); // or not, by the id
  let held = false; // by what is renewed: the focus

  addEventListener("pointerdown", (event) => (pressed = event.target), true);
  addEventListener("keydown", (event) => event.key === " " && (pressed = event.target), true);
  const release = () => {
    pressed = null;
    setTimeout(() => {
      for (const part of late) htmx.trigger(part, "renew");
      late.clear();
    }); // after the click that the release makes
  };
  for (const name of ["pointerup", "pointercancel", "keyup"]) addEventListener(name, release, true);
  addEventListener("blur", release); // the window's, not a field's

  document.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.detail.target;
    if (part.contains(pressed)) {
      event.detail.shouldSwap = false;
      late.add(part);
      return;
    }
    held ||= part.contains(document.activeElement);
    for (const details of document.querySelectorAll("details[id]")) opened.set(details.id, details.open);
  });

  // Nobody looks at a page in the background: what renews itself by the clock (without an event) waits until somebody does.
  const paused = new Set();
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!document.hidden || event.detail.requestConfig.triggeringEvent) return;
    event.preventDefault();
    paused.add(event.detail.elt);
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    for (const part of paused) htmx.trigger(part, "renew");
    paused.clear();
  });

  // Words for a screen reader, said where they change and not at each renewal.
  const said = document.getElementById("said");
  const words = () => document.querySelector("[data-says]")?.dataset.says;
  let known = words();
  document.addEventListener("htmx:afterSettle", () => {
    for (const [id, open] of opened) document.getElementById(id)?.toggleAttribute("open", open);
    if (held && document.activeElement === document.body) document.getElementById("main").focus({ preventScroll: true });
    held = false;
    if (said && known !== words()) said.textContent = known = words();
  });
})();
