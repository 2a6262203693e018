// The label queue by keyboard: 1–9 answer, L M H confidence, N note, Enter saves, + − 0 arrows zoom. U and C lead to a
// button, which Enter presses. Keys act only while the focus is in what is labelled, where it is from the start, or in
// what the page says of the last press.
"use strict";

const form = document.getElementById("label-form");
const viewer = document.getElementById("viewer");
const lesion = document.getElementById("lesion");
const view = { scale: 1, x: 0, y: 0 };
const STEP = 60;

function draw() {
  const roomX = (viewer.clientWidth * (view.scale - 1)) / 2;
  const roomY = (viewer.clientHeight * (view.scale - 1)) / 2;
  view.x = Math.max(-roomX, Math.min(roomX, view.x));
  view.y = Math.max(-roomY, Math.min(roomY, view.y));
  lesion.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  viewer.classList.toggle("zoomed", view.scale > 1);
  const scale = document.getElementById("scale");
  const words = `Zoom ${Math.round(100 * view.scale)}%`;
  if (scale.textContent !== words) scale.textContent = words;
}

function zoom(how) {
  const factor = { in: 1.4, out: 1 / 1.4, fit: 0 }[how];
  view.scale = Math.max(1, Math.min(8, view.scale * factor));
  draw();
}

function move(x, y) {
  view.x += x;
  view.y += y;
  draw();
}

const ZOOM_KEYS = { "+": "in", "=": "in", "-": "out", 0: "fit" };
const MOVE_KEYS = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };

function begin() {
  document.getElementById("answer-heading")?.focus({ preventScroll: true }); // on a phone the image is above it
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  if (!target.closest("#labelling, #messages")) return;
  if (target.matches("input:not([type=radio]), textarea, select")) {
    if (event.key === "Escape") begin();
    return;
  }
  const key = event.key.toLowerCase();
  const chosen = /^[a-z1-9]$/.test(key) && document.querySelector(`[data-key="${key}"]`);
  if (chosen) {
    if (event.repeat) return;
    if (chosen.type === "radio") chosen.click();
    chosen.focus();
  } else if (form && key === "n") {
    document.getElementById("note").focus();
  } else if (form && key === "enter" && !target.matches("a, button")) {
    if (!event.repeat) form.requestSubmit();
  } else if (viewer && key in ZOOM_KEYS) {
    zoom(ZOOM_KEYS[key]);
  } else if (viewer && view.scale > 1 && event.key in MOVE_KEYS && !target.matches("input")) {
    move(...MOVE_KEYS[event.key]);
  } else {
    return;
  }
  event.preventDefault();
}

document.addEventListener("keydown", pressed);
if (document.activeElement === document.body) begin();
// One press, one answer: a second Enter while the next page loads must not reach it.
for (const each of document.forms) {
  each.addEventListener("submit", (event) => {
    if (each.dataset.sent) event.preventDefault();
    each.dataset.sent = "yes";
  });
}
window.addEventListener("pageshow", () => {
  for (const each of document.forms) delete each.dataset.sent;
});

if (viewer) {
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => zoom(button.dataset.zoom));
  }
  viewer.addEventListener("pointermove", (event) => {
    if (event.buttons === 1 && view.scale > 1) move(event.movementX, event.movementY);
  });
  viewer.addEventListener("wheel", (event) => {
    if (view.scale === 1 && event.deltaY > 0) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? "in" : "out");
  }, { passive: false });
  viewer.addEventListener("dragstart", (event) => event.preventDefault());
}
