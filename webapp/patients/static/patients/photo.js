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
  const later = () => `We cannot tell if your ${yours()} arrived. Wait a minute and press “${button.textContent.trim()}” again. Nothing is sent twice. Everything that you chose is still here.`;
  let photos = inputs.flatMap((input) => [...input.files]); // those chosen before this script ran
  const QUIET = 30_000; // ms, after which a connection that does not get on is told
  let underway = null; // the request
  let stalled = false;
  let timer = 0;

  const DRAFT = "photo-draft"; // in this tab alone, until it is sent, or its writer signs out, or somebody else signs in (sign_out.js)
  const written = [form.elements.anatom_site, form.elements.notes];
  try {
    const [writer, page, ...values] = JSON.parse(sessionStorage.getItem(DRAFT)) ?? [];
    if (writer === form.dataset.writer && page === form.action) {
      document.getElementById("kept").hidden = written.every((field, place) => field.value === values[place]);
      written.forEach((field, place) => { field.value = values[place]; });
    }
  } catch { /* this browser keeps nothing */ }
  form.addEventListener("input", () => {
    const draft = [form.dataset.writer, form.action, ...written.map((field) => field.value)];
    try { sessionStorage.setItem(DRAFT, JSON.stringify(draft)); } catch { /* nor this */ }
  });

  const complain = (sentences, ids) => {
    tellFaults(form, errors.querySelector("ul"), sentences, ids);
    errors.classList.toggle("d-none", sentences.length === 0);
    if (sentences.length) errors.focus();
  };

  const preview = (photo, place) => {
    const item = document.createElement("li");
    const image = document.createElement("img");
    const remove = document.createElement("button");
    const name = `${place + 1}: ${photo.name}`;
    item.className = "preview";
    image.alt = `Photo ${name}`;
    image.src = URL.createObjectURL(photo);
    image.addEventListener("load", () => URL.revokeObjectURL(image.src));
    image.addEventListener("error", () => image.replaceWith(image.alt)); // this browser cannot show HEIC
    remove.type = "button";
    remove.className = "btn mt-2 w-100";
    remove.textContent = "Remove";
    remove.setAttribute("aria-label", `Remove photo ${name}`);
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
    const names = photos.map((photo) => photo.name).join(", ");
    count.textContent = photos.length ? `${photos.length} of ${most} photos chosen: ${names}` : "No photo is chosen now";
    for (const input of inputs) {
      const held = new DataTransfer(); // or the field would say “No file chosen”
      for (const photo of input.multiple ? photos : photos.slice(-1)) held.items.add(photo);
      input.files = held.files;
    }
  };
  if (photos.length) show();

  inputs.forEach((input) =>
    input.addEventListener("change", () => {
      const chosen = [...photos, ...input.files];
      photos = chosen.slice(0, most);
      show();
      const names = chosen.slice(most).map((photo) => photo.name).join(", ");
      if (names) complain([`Send at most ${most} photos, all of the same spot. Left out: ${names}`], ["id_photos"]);
      else complain([]);
    }),
  );

  const off = (isOff) => { // not by the property, which would take the focus away
    button.classList.toggle("disabled", isOff);
    button.setAttribute("aria-disabled", isOff);
  };
  const stay = (event) => event.preventDefault();

  const say = (told) => {
    if (words.textContent !== told) words.textContent = told; // or a screen reader says it again
  };

  // Said at each sign that the photos get on. When there is none, they may be sent again: the form's key makes them one case.
  const getsOn = (sentence) => {
    say(`${sentence}. Keep this page open.`);
    stalled = false;
    off(true);
    clearTimeout(timer);
    timer = setTimeout(() => {
      stalled = true;
      off(false);
      say(`Your ${yours()} did not get on for 30 seconds. Check your connection. Then press “${button.textContent.trim()}” again, or wait.`);
    }, QUIET);
  };

  const end = () => {
    clearTimeout(timer);
    removeEventListener("beforeunload", stay);
  };

  // Leads to the page of what has arrived, once that can be shown: without a connection or a site that answers it would be
  // an error page, and nothing would say that it is there.
  const follow = (address) => {
    const look = new XMLHttpRequest();
    look.open("GET", `${address}?seen=checking`);
    look.timeout = 10_000;
    look.addEventListener("load", () => (look.status < 500 ? window.location.assign(address) : wait()));
    const wait = () => {
      say(`Your ${photos.length > 1 ? "photos have" : "photo has"} arrived. We cannot show the next page just now. Check your connection and wait, or close this page: we send you an e-mail when there is something new.`);
      setTimeout(follow, 3000, address);
    };
    for (const name of ["error", "timeout"]) look.addEventListener(name, wait);
    look.send();
  };

  const finish = (...told) => {
    end();
    upload.hidden = true;
    say("");
    underway = null;
    off(false);
    complain(...told);
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (underway && !stalled) return;
    const empty = (field) => (field.type === "file" ? !photos.length : !field.value);
    const missing = [...form.querySelectorAll("[data-missing]")].filter(empty);
    if (missing.length) {
      complain(missing.map((field) => field.dataset.missing), missing.map((field) => field.id));
      return;
    }
    const data = new FormData(form);
    data.delete("photos");
    data.delete("csrfmiddlewaretoken"); // who signed in again, in another tab, has another: the header has the one that holds
    photos.forEach((photo) => data.append("photos", photo));
    underway?.abort();
    const request = underway = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRFToken", document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "");
    request.responseType = "json";
    request.upload.addEventListener("progress", (sent) => {
      if (sent.lengthComputable) bar.value = (100 * sent.loaded) / sent.total;
      getsOn(sent.loaded === sent.total ? "Almost there" : `Sending your ${yours()}`); // handed over, but not there yet
    });
    request.addEventListener("load", () => {
      if (request.response && request.response.next) {
        end();
        try { sessionStorage.removeItem(DRAFT); } catch { /* nothing was kept */ }
        follow(request.response.next);
      } else if (request.status >= 500) finish([later()]);
      else if (request.response && request.response.errors) finish(request.response.errors, request.response.fields);
      else finish(["That did not work. Load this page again and send it once more."]);
      if (request.status === 401) errors.querySelector("ul").append(signIn.content.cloneNode(true));
    });
    request.addEventListener("error", () => finish([later()]));
    complain([]);
    bar.value = 0;
    upload.hidden = false;
    getsOn(`Sending your ${yours()}`);
    addEventListener("beforeunload", stay);
    request.send(data);
  });
})();
