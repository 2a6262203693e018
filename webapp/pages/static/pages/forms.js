// Two small helps for forms: copy a value, and ask before something that cannot be undone.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  const told = document.getElementById(`${field.id}-copied`);
  try {
    await navigator.clipboard.writeText(field.value);
    told.textContent = "Copied";
  } catch {
    field.select(); // the focus goes there only where a person must copy it
    told.textContent = "Press Ctrl+C";
  }
});

// Where this script does not come, the page says instead that it is done at once (lens.css). So it is not deferred, and
// `js`, which another script sets, does not tell.
document.documentElement.classList.add("asks");
document.addEventListener("submit", (event) => {
  const { confirm: question, confirmChanged } = event.target.dataset;
  const field = event.target.elements[confirmChanged]; // ask only if something else now stands there, and not nothing
  if (field && (!field.value || field.value === field.defaultValue)) return;
  if (question && !confirm(question)) event.preventDefault();
});
