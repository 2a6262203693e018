// Keys on a case: j and k go to the next and previous case, h shows the heatmaps. n and r lead to the note and to its
// release: what a form sends waits for a second key, Enter. They act only while the focus is in the page's content, where
// it is from the start.
const note = document.getElementById("note");

// Once another page is asked for, what its reader presses next is meant for that one. On a slow line this one is still
// there, and would release the case that they have left: so its keys and forms are dead until the other page shows, or
// the browser shows this one again.
let leaving = false;
const told = document.createElement("div");
told.className = "alert alert-info";
told.textContent = "Another page is being opened, so nothing was done here. If it does not come, reload this one.";
addEventListener("click", (event) => {
  const link = event.target.closest("a[href]:not([download], [target], [href^='#'])");
  const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
  if (link && !elsewhere && !event.defaultPrevented) leaving = true;
});
addEventListener("submit", (event) => {
  if (!leaving || !event.target.closest("main")) return;
  event.preventDefault();
  event.stopPropagation();
  document.getElementById("messages").append(told);
}, true);
addEventListener("submit", (event) => (leaving ||= !event.defaultPrevented));
addEventListener("pageshow", () => {
  leaving = false;
  told.remove();
});

document.addEventListener("keydown", (event) => {
  if (leaving) return;
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

// What is written in the note is there again after signing in again. It is kept in this tab alone, until it is sent, or its
// writer signs out, or somebody else signs in (sign_out.js). Where the result was released without it, it is shown.
const DRAFT = "note-draft";
const { writer, case: about } = document.getElementById("case").dataset;
const keep = (text) => {
  try {
    if (text.trim()) sessionStorage.setItem(DRAFT, JSON.stringify([writer, about, text]));
    else sessionStorage.removeItem(DRAFT);
  } catch { /* this browser keeps nothing */ }
};
const bare = (text) => text.normalize("NFC").replace(/\s/g, ""); // as it is kept and shown, lines and spaces differ
const unsent = document.getElementById("note-unsent");
try {
  const [by, of, text] = JSON.parse(sessionStorage.getItem(DRAFT)) ?? [];
  if (by === writer && of === about) {
    if (unsent) {
      if (bare(text) === bare(document.getElementById("note-sent")?.textContent ?? "")) keep("");
      else {
        unsent.querySelector("blockquote").innerText = text;
        unsent.hidden = false;
      }
    } else if (note && !note.value) {
      note.value = text;
      document.getElementById("note-kept").hidden = false;
    }
  }
} catch { /* nor did it */ }
note?.addEventListener("input", () => keep(note.value));

// A note that is typed and not sent would be lost: the browser asks, unless it is being sent. Who stays goes on here.
const ask = (event) => {
  if (!note.value.trim()) return;
  event.preventDefault();
  leaving = false;
};
if (note) {
  addEventListener("beforeunload", ask);
  note.form.addEventListener("submit", () => removeEventListener("beforeunload", ask));
  addEventListener("pageshow", () => addEventListener("beforeunload", ask));
}
document.querySelector("[data-print]")?.addEventListener("click", () => print());
