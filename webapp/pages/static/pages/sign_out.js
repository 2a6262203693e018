// What this tab keeps for the person who is signed in, such as a note that was not sent, goes when they sign out.
document.querySelectorAll("form[action$='/logout/']").forEach((form) =>
  form.addEventListener("submit", () => {
    try { sessionStorage.clear(); } catch { /* nothing was kept */ }
  }),
);
