// Sends files as far as the connection allows: several at once, each again after a pause, an archive in parts.
window.Sending = (() => {
  const AT_ONCE = 4;
  const TRIES = 9; // with the pauses between them about two minutes without a connection
  const LONGEST_PAUSE = 30_000; // milliseconds

  class Meter {
    constructor(panel, total) {
      this.bar = panel.querySelector(".progress");
      this.said = panel.querySelector("[role=status]");
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
      if (this.said.textContent !== words) this.said.textContent = words;
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
      if (got.status && got.status < 500 && got.status !== 429) return got;
      if (attempt === TRIES) throw got.error ?? new Error("The server does not answer.");
      await pause(got.wait ? 1000 * got.wait : Math.min(LONGEST_PAUSE, 500 * 2 ** attempt) * (0.5 + Math.random() / 2));
    }
  };

  const atOnce = async (items, work) => {
    const waiting = [...items];
    const next = async () => {
      while (waiting.length) await work(waiting.shift());
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
  };

  const json = { Accept: "application/json" };

  // Each picture by itself. Those that do not arrive are listed on the batch's page.
  const pictures = async (files, address, token, meter) => {
    let done = 0;
    await atOnce(files, async (file) => {
      const body = new FormData();
      body.append("csrfmiddlewaretoken", token);
      body.append("files", file);
      const onProgress = (bytes) => meter.tell(file, Math.min(bytes, file.size));
      await insist("POST", address, body, { headers: json, onProgress }).catch(() => null);
      done += 1;
      meter.tell(file, file.size);
      meter.say(`${done} of ${files.length} pictures sent.`);
    });
  };

  // An archive in parts, straight to storage; what has arrived in an earlier attempt is not sent again.
  const archive = async (file, { parts, complete }, token, meter) => {
    const ask = async (address, body) => {
      const headers = { ...json, "Content-Type": "application/json", "X-CSRFToken": token };
      const got = await insist("POST", address, JSON.stringify(body), { headers });
      if (got.status >= 400) throw new Error(got.answer.detail);
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
        meter.say(`${done} of ${asked.parts.length} parts of the ZIP sent.`);
      });
    }
    await ask(complete, {});
  };

  // Do the work with the form's panel shown and its button off, and tell `fail` what went wrong.
  const during = async (form, panel, work, fail) => {
    const button = form.querySelector("button[type=submit]");
    const stay = (event) => event.preventDefault();
    addEventListener("beforeunload", stay);
    panel.hidden = false;
    button.disabled = true;
    try {
      const next = await work();
      removeEventListener("beforeunload", stay);
      if (next) location.assign(next);
    } catch (error) {
      fail(error.message);
    } finally {
      removeEventListener("beforeunload", stay);
      panel.hidden = true;
      button.disabled = false;
    }
  };

  return { Meter, request, json, pictures, archive, during };
})();
