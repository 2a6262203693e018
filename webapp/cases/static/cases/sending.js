// Sends files straight to storage as far as the connection allows: several at once, each again after a pause, a large one in
// parts. The site says where they go, and is told when they are there.
window.Sending = (() => {
  const AT_ONCE = 4;
  const TRIES = 9; // with the pauses between them about two minutes without a connection
  const LONGEST_PAUSE = 30_000; // milliseconds
  const NAMES_SAID = 20;
  const GROUP = { files: 100, bytes: 32 * 1024 ** 2 }; // that are asked for, and said to be there, at once
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

  // The files that no browser sends, since they were saved anew or moved after they were chosen, in a sentence; empty if there
  // are none.
  const changed = async (files) => {
    const read = await Promise.all(files.map((file) => file.slice(0, 1).arrayBuffer().then(() => true, () => false)));
    const gone = files.filter((_, place) => !read[place]).map((file) => file.name);
    return gone.length ? `${named(gone)}: changed or moved since you chose ${gone.length > 1 ? "them. Choose them" : "it. Choose it"} again.` : "";
  };

  const ask = async (method, address, body, headers = {}) => {
    const got = await insist(method, address, body, { headers: { ...json(), ...headers } });
    if (got.status >= 400) throw refusal(got);
    return got.answer;
  };
  // Where files go, and what else is told of them. While the site is renewed, another version may answer something else.
  const askPlaces = async (address, said) => {
    const answer = await ask("POST", address, new URLSearchParams(said));
    if (!answer.places) throw refusal({ status: 200, answer });
    return answer;
  };
  const tell = (address, said, method = "POST") => ask(method, address, JSON.stringify(said), { "Content-Type": "application/json" });

  // A file's content in a few letters; empty where the browser gives none, since the page came without TLS.
  const printOf = async (file) => {
    const bytes = await file.arrayBuffer().catch(() => {
      throw new Error(`${file.name} cannot be read any more. Choose it again.`);
    });
    const digest = await crypto.subtle?.digest("SHA-256", bytes);
    return digest ? btoa(String.fromCharCode(...new Uint8Array(digest))) : "";
  };

  // The pieces of a file, each with where it goes until it has arrived. What storage has of a picture, in this tab's memory by
  // its id, is gone on with only where the file is the same: others have its name, and even its size.
  const piecesOf = async (place) => {
    const { file, id, upload, parts } = place;
    place.print = id ? await printOf(file) : "";
    const isSame = !id || (place.print && sessionStorage.getItem(id) === place.print);
    if (!isSame) sessionStorage.removeItem(id);
    if (upload) return [{ place, number: 1, bytes: file.slice(), upload: isSame ? null : upload }];
    let listed = await tell(parts, { size: file.size });
    if (!isSame && listed.parts.some((part) => !part.upload)) {
      await tell(parts, {}, "DELETE");
      listed = await tell(parts, { size: file.size });
    }
    if (id) sessionStorage.setItem(id, place.print);
    let end = 0;
    return listed.parts.map(({ number, size, upload: to }) => ({ place, number, bytes: file.slice(end, (end += size)), upload: to }));
  };
  const isThere = ({ pieces }) => pieces.every(({ upload }) => !upload);

  // Send the files to the places that `find` gives of them. `complete` says which are there, also where others fail, and gives
  // those that are not after all; `count` shows how far all are.
  const deliver = async (files, { find, complete, count }, meter) => {
    for (let waiting = files, round = 1; waiting.length; round += 1) {
      if (round > TRIES) throw new Error(`The storage does not take ${named(waiting.map((file) => file.name))}.`);
      const places = await find(waiting);
      await atOnce(places, async (place) => {
        place.pieces = await piecesOf(place);
      });
      const pieces = places.flatMap((place) => place.pieces);
      const told = ({ place, number }, bytes) => meter.tell(`${place.parts} ${number}`, bytes);
      for (const piece of pieces) if (!piece.upload) told(piece, piece.bytes.size);
      const put = async (piece) => {
        const got = await insist("PUT", piece.upload.url, piece.bytes, { onProgress: (bytes) => told(piece, bytes) });
        if (got.status >= 400) return; // its URL has expired, perhaps: the next round has a fresh one
        piece.upload = null;
        if (piece.place.id) sessionStorage.setItem(piece.place.id, piece.place.print);
        count(places);
      };
      const tellThere = async () => {
        const there = places.filter(isThere);
        return there.length ? complete(there) : [];
      };
      const toSend = pieces.filter(({ upload }) => upload);
      await atOnce(toSend, put).catch((error) => {
        tellThere().catch(() => {}); // what went wrong is said at once, whatever becomes of this
        throw error;
      });
      const left = await tellThere();
      waiting = [...places.filter((place) => !isThere(place)), ...left].map(({ file }) => file);
    }
  };

  const arrived = new Map(); // the files that need not be sent again, by the address that has told where they go

  const groups = (files) => {
    const found = [];
    let bytes = 0;
    for (const file of files) {
      bytes += file.size;
      if (!found.length || found.at(-1).length === GROUP.files || bytes > GROUP.bytes) {
        found.push([]);
        bytes = file.size;
      }
      found.at(-1).push(file);
    }
    return found;
  };

  // Pictures, each to the image that waits for a file of its name. Gives the names of those whose image had its file `before`,
  // and of the `unknown`, for which none waits. Throws where any does not arrive.
  const pictures = async (files, { batch_files: address, complete }, meter) => {
    if (!arrived.has(address)) arrived.set(address, new Set());
    const there = arrived.get(address);
    const left = { before: [], unknown: [] };
    for (const file of files) if (there.has(file)) meter.tell(file, file.size);
    const find = async (waiting) => {
      const [names, sizes] = ["name", "size"].map((what) => JSON.stringify(waiting.map((file) => file[what])));
      const { places, before, unknown } = await askPlaces(address, { names, sizes });
      left.before.push(...before);
      left.unknown.push(...unknown);
      return places.map((place) => ({ ...place, file: waiting[place.file] }));
    };
    const say = async (places) => {
      const { images } = await tell(complete, { images: places.map(({ id }) => id) });
      const missing = new Set(images.filter(({ problem }) => problem).map(({ id }) => id));
      for (const { id, file } of places) {
        sessionStorage.removeItem(id);
        if (!missing.has(id)) there.add(file);
      }
      return places.filter(({ id }) => missing.has(id));
    };
    const count = (places) => {
      const now = new Set(places.filter(isThere).map(({ file }) => file));
      const done = files.filter((file) => there.has(file) || now.has(file)).length;
      meter.count(done, files.length, `${done} of ${files.length} picture${files.length === 1 ? " has" : "s have"} arrived.`);
    };
    for (const group of groups(files.filter((file) => !there.has(file)))) await deliver(group, { find, complete: say, count }, meter);
    return left;
  };

  // A picture of any name in the place of one that was refused. Gives nothing: its form says that it is there.
  const another = (file, address, meter) => {
    const find = async () => {
      const { places } = await askPlaces(address, { size: file.size });
      return places.map((place) => ({ ...place, file }));
    };
    const say = ([{ id }]) => {
      sessionStorage.removeItem(id);
      return [];
    };
    return deliver([file], { find, complete: say, count: () => {} }, meter);
  };

  // An archive, which the site unpacks.
  const archive = (file, { "archive-parts": parts, "complete-archive": complete }, meter) => {
    const find = () => [{ file, parts }];
    const say = async () => {
      await tell(complete, {});
      return [];
    };
    const count = ([{ pieces }]) => {
      const done = pieces.filter(({ upload }) => !upload).length;
      meter.count(done, pieces.length, `${done} of ${pieces.length} part${pieces.length === 1 ? "" : "s"} of the ZIP sent.`);
    };
    return deliver([file], { find, complete: say, count }, meter);
  };

  let busy = false; // forms of one page share its panel, and one that ends may leave the page

  // Do the work with the form's panel shown and its button off, and then what it gives; and tell `fail` what went wrong, with
  // the link to sign in by.
  const during = async (form, panel, work, fail) => {
    if (busy) {
      fail("Wait until the other files are sent.");
      return;
    }
    busy = true;
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
      next?.();
    } catch (error) {
      fail(error.message, signIn(error, panel));
    } finally {
      busy = false;
      removeEventListener("beforeunload", stay);
      form.removeEventListener("submit", ignore, true);
      panel.hidden = true;
      off(false);
    }
  };

  return { Meter, request, json, refusal, signIn, named, tooLarge, changed, pictures, another, archive, during };
})();
