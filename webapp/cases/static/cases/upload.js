// Sends the names first and then each picture by itself: a broken connection loses one file, which is tried again.
(() => {
  const TRIES = 3;
  const form = document.getElementById("upload");
  const input = form.elements.files;
  const zone = document.getElementById("drop-zone");
  const chosen = document.getElementById("chosen");
  const errors = document.getElementById("upload-errors");
  const panel = document.getElementById("upload-progress");
  const bar = panel.querySelector(".progress");
  const said = panel.querySelector("[role=status]");
  const isPicture = (file) => !/\.(csv|zip)$/i.test(file.name);
  const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

  const tell = () => {
    const files = [...input.files];
    const bytes = files.reduce((sum, file) => sum + file.size, 0);
    chosen.textContent = files.length ? `${files.length} file${files.length > 1 ? "s" : ""} chosen, ${size(bytes)}.` : "";
  };
  input.addEventListener("change", tell);
  for (const name of ["dragover", "dragleave", "drop"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", name === "dragover");
    });
  }
  zone.addEventListener("drop", (event) => {
    const all = new DataTransfer();
    for (const file of [...input.files, ...event.dataTransfer.files]) all.items.add(file);
    input.files = all.files;
    tell();
  });

  const post = (address, body, onProgress) =>
    new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", address);
      request.setRequestHeader("Accept", "application/json");
      request.responseType = "json";
      request.upload.addEventListener("progress", (event) => onProgress(event.loaded));
      request.addEventListener("load", () => resolve({ status: request.status, answer: request.response ?? {} }));
      request.addEventListener("error", () => reject(new Error("The connection broke.")));
      request.send(body);
    });

  const show = (sentences) => {
    errors.replaceChildren();
    if (!sentences.length) return;
    const box = document.createElement("div");
    box.className = "alert alert-danger";
    const list = document.createElement("ul");
    list.className = "mb-0";
    for (const sentence of sentences) list.append(Object.assign(document.createElement("li"), { textContent: sentence }));
    const title = Object.assign(document.createElement("p"), { className: "fw-medium mb-1", textContent: "Nothing was stored yet. Correct this and upload again:" });
    const body = document.createElement("div");
    body.append(title, list);
    box.append(body);
    errors.append(box);
    errors.scrollIntoView({ block: "center" });
  };

  const progress = (sent, total, words) => {
    const percent = total ? Math.min(100, Math.round((100 * sent) / total)) : 0;
    bar.setAttribute("aria-valuenow", percent);
    bar.firstElementChild.style.width = `${percent}%`;
    if (said.textContent !== words) said.textContent = words;
  };

  const send = async () => {
    const pictures = [...input.files].filter(isPicture);
    const others = [...input.files].filter((file) => !isPicture(file));
    const total = [...input.files].reduce((sum, file) => sum + file.size, 0);
    const first = new FormData(form);
    first.delete("files");
    for (const file of others) first.append("files", file);
    first.append("names", JSON.stringify(pictures.map((file) => file.name)));
    let sent = 0;
    const made = await post(form.action, first, (bytes) => progress(bytes, total, "Sending …"));
    if (made.status >= 400) {
      show(made.answer.errors ?? ["The server did not take the files. Try again in a moment."]);
      return;
    }
    sent = others.reduce((sum, file) => sum + file.size, 0);
    const token = form.elements.csrfmiddlewaretoken.value;
    for (const [index, file] of pictures.entries()) {
      const words = `Sending picture ${index + 1} of ${pictures.length}.`;
      for (let attempt = 1; attempt <= TRIES; attempt += 1) {
        const body = new FormData();
        body.append("csrfmiddlewaretoken", token);
        body.append("files", file);
        const done = await post(made.answer.files, body, (bytes) => progress(sent + bytes, total, words)).catch(() => null);
        if (done && done.status < 500) break; // what still did not arrive is listed on the batch's page
      }
      sent += file.size;
    }
    location.assign(made.answer.batch);
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button[type=submit]");
    show([]);
    panel.hidden = false;
    button.disabled = true;
    try {
      await send();
    } catch (error) {
      show([`${error.message} Try again.`]);
    } finally {
      panel.hidden = true;
      button.disabled = false;
    }
  });
})();
