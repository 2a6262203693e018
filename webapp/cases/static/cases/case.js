// Keys on a case: j and k go to the next and previous case, h shows the heatmaps. n and r lead to the note and to its
// release: what a form sends waits for a second key, Enter. They act only while the focus is in the page's content, where
// it is from the start.
const note = document.getElementById("note");

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !event.target.closest("main")) return;
  for (const target of document.querySelectorAll(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`)) {
    if (target.form) {
      event.preventDefault();
      target.focus();
    } else target.click();
  }
});
if (document.activeElement === document.body) document.querySelector("h1").focus({ preventScroll: true });

// A note that is typed and not sent would be lost: the browser asks, unless it is being sent.
const ask = (event) => {
  if (note.value.trim()) event.preventDefault();
};
if (note) {
  addEventListener("beforeunload", ask);
  note.form.addEventListener("submit", () => removeEventListener("beforeunload", ask));
  addEventListener("pageshow", () => addEventListener("beforeunload", ask));
}
document.querySelector("[data-print]")?.addEventListener("click", () => print());
