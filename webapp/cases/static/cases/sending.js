// Sends files as far as the connection allows: several at once, each again after a pause, an archive in parts.
window.Sending = (() => {
  const AT_ONCE = 4;
  const TRIES = 9; // with the pauses between them about two minutes without a connection
  const LONGEST_PAUSE = 30_000; // milliseconds
  const NAMES_SAID = 20;
  const SIGNED_OUT = "You are signed out. Sign in in another tab, then send again.";

  class Meter {
    constructor(panel, total) {
      this.bar = panel.querySelector(".progress");
      this.shown = panel.querySelector("p");
      this.heard = panel.querySelector("[role=status]");
      this.total = total;
      this.sent = new Map();
    }
    tell(what, bytes) {
      this.sent.set(what, bytes);
      const sum = [...this.sent.values()].reduce((all, some) => all + some, 0);
      const percent = this.total ? Math.min(100, Math.round((100 * sum) / this.total)) : 0;
      this.bar.setAttribute("aria-valuenow", percent);
      this.bar.firstElementChild.style.width = `${percent}%`;
    }
    say(words) {
      this.shown.textContent = words;
      if (this.heard.textContent !== words) this.heard.textContent = words;
    }
    // One more of many is there: shown each time, and told to a screen reader at each quarter.
    count(done, all, words) {
      if (Math.floor((4 * done) / all) > Math.floor((4 * (done - 1)) / all)) this.say(words);
      else this.shown.textContent = words;
    }
  }

  const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

  const request = (method, address, body, { headers = {}, onProgress = () => {} } = {}) =>
    new Promise((resolve, reject) => {
      const sent = new XMLHttpRequest();
      sent.open(method, address);
      for (const [name, value] of Object.entries(headers)) sent.setRequestHeader(name, value);
      sent.responseType = "json";
      sent.upload.addEventListener("progress", (event) => onProgress(event.loaded));
      sent.addEventListener("load", () =>
        resolve({ status: sent.status, answer: sent.response ?? {}, wait: Number(sent.getResponseHeader("Retry-After")) }),
      );
      sent.addEventListener("error", () => reject(new Error("The connection broke.")));
      sent.send(body);
    });

  // Ask until there is an answer that asking again would not change. Every request that is sent so may arrive twice.
  const insist = async (...asked) => {
    for (let attempt = 1; ; attempt += 1) {
      const got = await request(...asked).catch((error) => ({ status: 0, error }));
      if (got.status && got.status < 500 && got.status !== 429) return { ...got, repeated: attempt > 1 };
      if (attempt === TRIES) throw got.error ?? new Error("The server does not answer.");
      await pause(got.wait ? 1000 * got.wait : Math.min(LONGEST_PAUSE, 500 * 2 ** attempt) * (0.5 + Math.random() / 2));
    }
  };

  const atOnce = async (items, work) => {
    const waiting = [...items];
    const next = async () => {
      while (waiting.length) await work(waiting.shift());
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, next));
    } finally {
      waiting.length = 0; // what ended one ends the others
    }
  };

  // The token is read each time: who signs in again, in another tab, has another.
  const json = () => ({
    Accept: "application/json",
    "X-CSRFToken": document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "",
  });
  // What to say where the answer is not the one that was asked for.
  const refusal = ({ status, answer }) => {
    const signedOut = status === 401 || (status === 403 && !answer.errors);
    const words = answer.errors?.join(" ") ?? (signedOut ? SIGNED_OUT : answer.detail ?? "The server did not take the files.");
    return Object.assign(new Error(words), { signedOut });
  };
  // The link for who is refused because they are signed out, from the panel; nothing for others.
  const signIn = (refused, panel) => (refused.signedOut ? panel.querySelector("template").content.cloneNode(true) : "");

  const named = (names) => {
    const more = names.length - NAMES_SAID;
    return names.slice(0, NAMES_SAID).join(", ") + (more > 0 ? ` and ${more} more` : "");
  };
  // The files that the form says are too large, in a sentence; empty if there are none.
  const tooLarge = (files, { most, tooLarge: told }) => {
    const large = files.filter((file) => file.size > Number(most));
    return large.length ? `${named(large.map((file) => file.name))}: ${told}` : "";
  };

  const arrived = new Map(); // the files that need not be sent again, by the address that has taken them

  // Each picture by itself. Gives the names of those whose place was taken `before`, and of the `unknown`, for which there
  // is none. Throws where any is not taken.
  const pictures = async (files, address, meter) => {
    if (!arrived.has(address)) arrived.set(address, new Set());
    const there = arrived.get(address);
    const missing = files.filter((file) => !there.has(file));
    const left = { before: [], unknown: [] };
    let stored = files.length - missing.length;
    for (const file of there) meter.tell(file, file.size);
    await atOnce(missing, async (file) => {
      const body = new FormData();
      body.append("names", JSON.stringify([file.name])); // that of a part of a form is changed on its way
      body.append("files", file);
      const onProgress = (bytes) => meter.tell(file, Math.min(bytes, file.size));
      const got = await insist("POST", address, body, { headers: json(), onProgress });
      if (!got.answer.unknown) throw refusal(got);
      if (got.answer.stored || (got.repeated && got.answer.before.length)) {
        there.add(file);
        stored += 1;
        meter.tell(file, file.size);
      } else {
        left.before.push(...got.answer.before);
        left.unknown.push(...got.answer.unknown);
      }
      meter.count(stored, files.length, `${stored} of ${files.length} picture${files.length === 1 ? " has" : "s have"} arrived.`);
    });
    return left;
  };

  // An archive in parts, straight to storage; what has arrived in an earlier attempt is not sent again.
  const archive = async (file, { parts, complete }, meter) => {
    const ask = async (address, body) => {
      const headers = { ...json(), "Content-Type": "application/json" };
      const got = await insist("POST", address, JSON.stringify(body), { headers });
      if (got.status >= 400) throw refusal(got);
      return got.answer;
    };
    for (let lost = 1, round = 1; lost; round += 1) {
      if (round > TRIES) throw new Error("The storage does not take the file.");
      lost = 0;
      const asked = await ask(parts, { size: file.size });
      let begin = 0;
      const missing = [];
      for (const part of asked.parts) {
        if (part.upload) missing.push({ ...part, begin });
        else meter.tell(part.number, part.size);
        begin += part.size;
      }
      let done = asked.parts.length - missing.length;
      await atOnce(missing, async (part) => {
        const onProgress = (bytes) => meter.tell(part.number, bytes);
        const piece = file.slice(part.begin, part.begin + part.size);
        const got = await insist("PUT", part.upload.url, piece, { onProgress });
        if (got.status >= 400) lost += 1; // its URL has expired, perhaps: the next round has a fresh one
        else done += 1;
        meter.count(done, asked.parts.length, `${done} of ${asked.parts.length} part${asked.parts.length === 1 ? "" : "s"} of the ZIP sent.`);
      });
    }
    await ask(complete, {});
  };

  // Do the work with the form's panel shown and its button off, and tell `fail` what went wrong, with the
  // link to sign in by.
  const during = async (form, panel, work, fail) => {
    const button = form.querySelector("button[type=submit]");
    const stay = (event) => event.preventDefault();
    const off = (isOff) => { // not by the property, which would take the focus away
      button.classList.toggle("disabled", isOff);
      button.setAttribute("aria-disabled", isOff);
    };
    const ignore = (event) => {
      event.preventDefault();
      event.stopImmediatePropagation();
    };
    addEventListener("beforeunload", stay);
    form.addEventListener("submit", ignore, true);
    panel.hidden = false;
    off(true);
    try {
      const next = await work();
      removeEventListener("beforeunload", stay);
      if (next) location.assign(next);
    } catch (error) {
      fail(error.message, signIn(error, panel));
    } finally {
      removeEventListener("beforeunload", stay);
      form.removeEventListener("submit", ignore, true);
      panel.hidden = true;
      off(false);
    }
  };

  return { Meter, request, json, refusal, signIn, named, tooLarge, pictures, archive, during };
})();
