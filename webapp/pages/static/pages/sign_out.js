// What this tab keeps for the person who is signed in, such as a note that was not sent, goes when they sign out. Where
// their time ran out instead, what they wrote waits for them, and goes when somebody else signs in.
document.querySelectorAll("form[action$='/logout/']").forEach((form) => {
  form.addEventListener("submit", () => {
    try { sessionStorage.clear(); } catch { /* nothing was kept */ }
  });
  if (!form.dataset.user) return;
  try {
    for (const [name, kept] of Object.entries(sessionStorage)) {
      if (name.endsWith("-draft") && JSON.parse(kept)[0] !== form.dataset.user) sessionStorage.removeItem(name);
    }
  } catch { /* nor was it here */ }
});
