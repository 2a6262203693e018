// Keys on a case: j and k go to the next and previous case, h shows the heatmaps. n and r lead to the note and to its
// release: what a form sends waits for a second key, Enter.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  for (const target of document.querySelectorAll(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`)) {
    if (target.form) {
      event.preventDefault();
      target.focus();
    } else target.click();
  }
});
document.querySelector("[data-print]")?.addEventListener("click", () => print());
