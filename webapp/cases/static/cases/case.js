// Keys on a case: j and k go to the next and previous case, h shows the heatmaps.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  for (const target of document.querySelectorAll(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`)) target.click();
});
document.querySelector("[data-print]")?.addEventListener("click", () => print());
