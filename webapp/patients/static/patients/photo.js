// Gathers up to three photos from the camera and from the device, shows them, and shows how much has been sent. What was
// written is there again after signing in again, or after a phone has dropped the page; photos cannot be.
// Without this script the same form sends the same files.
(() => {
  const form = document.getElementById("photo-form");
  const list = document.getElementById("previews");
  const count = document.getElementById("photo-count");
  const errors = document.getElementById("errors");
  const signIn = document.getElementById("sign-in");
  const upload = document.getElementById("upload");
  const bar = document.getElementById("upload-bar");
  const words = document.getElementById("upload-words");
  const button = form.querySelector("button[type=submit]");
  const inputs = [...form.querySelectorAll("input[type=file]")];
  const most = Number(list.dataset.max);
  const yours = () => (photos.length > 1 ? "photos" : "photo");
  const later = () => `Your ${yours()} did not arrive. Wait a minute and press “${button.textContent.trim()}” again. Everything that you chose is still here.`;
  let photos = [];

  const DRAFT = "photo-draft"; // in this tab alone, until it is sent or its writer signs out (sign_out.js)
  const written = [form.elements.anatom_site, form.elements.notes];
  try {
    const [writer, page, ...values] = JSON.parse(sessionStorage.getItem(DRAFT)) ?? [];
    if (writer !== form.dataset.writer) sessionStorage.removeItem(DRAFT);
    else if (page === form.action) {
      document.getElementById("kept").hidden = written.every((field, place) => field.value === values[place]);
      written.forEach((field, place) => { field.value = values[place]; });
    }
  } catch { /* this browser keeps nothing */ }
  form.addEventListener("input", () => {
    const draft = [form.dataset.writer, form.action, ...written.map((field) => field.value)];
    try { sessionStorage.setItem(DRAFT, JSON.stringify(draft)); } catch { /* nor this */ }
  });

  const complain = (sentences) => {
    const items = sentences.map((sentence) => Object.assign(document.createElement("li"), { textContent: sentence }));
    errors.querySelector("ul").replaceChildren(...items);
    errors.classList.toggle("d-none", items.length === 0);
    if (items.length) errors.focus();
  };

  const preview = (photo, place) => {
    const item = document.createElement("li");
    const image = document.createElement("img");
    const remove = document.createElement("button");
    item.className = "preview";
    image.alt = `Photo ${place + 1}`;
    image.src = URL.createObjectURL(photo);
    image.addEventListener("load", () => URL.revokeObjectURL(image.src));
    image.addEventListener("error", () => image.replaceWith(`Photo ${place + 1}: ${photo.name}`)); // this browser cannot show HEIC
    remove.type = "button";
    remove.className = "btn mt-2 w-100";
    remove.textContent = "Remove";
    remove.setAttribute("aria-label", `Remove photo ${place + 1}`);
    remove.addEventListener("click", () => {
      photos = photos.filter((other) => other !== photo);
      complain([]);
      show();
      inputs[1].focus();
    });
    item.append(image, remove);
    return item;
  };

  const show = () => {
    list.replaceChildren(...photos.map(preview));
    count.textContent = photos.length ? `${photos.length} of ${most} photos chosen` : "";
  };

  inputs.forEach((input) =>
    input.addEventListener("change", () => {
      const chosen = [...photos, ...input.files];
      complain(chosen.length > most ? [`Send at most ${most} photos, all of the same spot.`] : []);
      photos = chosen.slice(0, most);
      input.value = "";
      show();
    }),
  );

  const finish = (sentences) => {
    upload.hidden = true;
    button.disabled = false;
    complain(sentences);
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const data = new FormData(form);
    data.delete("photos");
    data.delete("csrfmiddlewaretoken"); // who signed in again, in another tab, has another: the header has the one that holds
    photos.forEach((photo) => data.append("photos", photo));
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRFToken", document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "");
    request.responseType = "json";
    request.upload.addEventListener("progress", (sent) => {
      if (sent.lengthComputable) bar.value = (100 * sent.loaded) / sent.total;
      if (sent.loaded === sent.total) words.textContent = `Your ${yours()} ${photos.length > 1 ? "have" : "has"} been sent. One moment, please`;
    });
    request.addEventListener("load", () => {
      if (request.response && request.response.next) {
        try { sessionStorage.removeItem(DRAFT); } catch { /* nothing was kept */ }
        window.location.assign(request.response.next);
      } else if (request.status >= 500) finish([later()]);
      else finish((request.response && request.response.errors) || ["That did not work. Load this page again and send it once more."]);
      if (request.status === 401) errors.querySelector("ul").append(signIn.content.cloneNode(true));
    });
    request.addEventListener("error", () => finish([later()]));
    complain([]);
    words.textContent = `Sending your ${yours()}`;
    bar.value = 0;
    upload.hidden = false;
    button.disabled = true;
    request.send(data);
  });
})();
