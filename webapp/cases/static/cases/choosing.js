// The files that are chosen for a new batch: those that are chosen or dropped later join those that are there, the same picture
// once; and each can be taken out again.
window.Choosing = (() => {
  const SHOWN = 200; // of the files, each with its button
  const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
  const ending = (file) => file.name.split(".").pop().toLowerCase();
  const isTable = (file) => ["csv", "json"].includes(ending(file));
  const isArchive = (file) => ending(file) === "zip";
  const isPicture = (file) => !isTable(file) && !isArchive(file);

  // No browser sends a file that was saved anew or moved since it was chosen, and none reads it.
  const isGone = (file) => file.slice(0, 1).arrayBuffer().then(() => false, () => true);
  const isSame = async (one, other) => {
    if (one.size !== other.size) return false;
    const [a, b] = (await Promise.all([one.arrayBuffer(), other.arrayBuffer()])).map((bytes) => new Uint8Array(bytes));
    return a.every((byte, place) => byte === b[place]);
  };

  // What is chosen in the `input`, or dropped into the `zone`. `settled` gives the files once those that came last are among
  // them; `isBeside` tells those that are no pictures by their names.
  const choosing = (input, zone) => {
    const told = document.getElementById("chosen");
    const listed = document.getElementById("chosen-files");
    const [list, more] = [listed.querySelector("ul"), listed.querySelector("p")];
    const noPictures = new RegExp(input.dataset.noPictures, "i");
    const isBeside = (file) => isPicture(file) && noPictures.test(file.name);
    let files = [];

    const row = (file) => {
      const line = Object.assign(document.createElement("li"), { className: "d-flex gap-2 align-items-center py-1" });
      const name = Object.assign(document.createElement("span"), { className: "text-break me-auto", textContent: file.name });
      const bytes = Object.assign(document.createElement("span"), { className: "text-secondary text-nowrap", textContent: size(file.size) });
      const button = Object.assign(document.createElement("button"), { className: "btn btn-sm flex-shrink-0", type: "button", textContent: "Remove " });
      button.append(Object.assign(document.createElement("span"), { className: "visually-hidden", textContent: file.name }));
      button.addEventListener("click", () => {
        const place = [...list.children].indexOf(line);
        keep(files.filter((other) => other !== file));
        (list.children[Math.min(place, list.children.length - 1)]?.querySelector("button") ?? input).focus();
      });
      line.append(name, bytes, button);
      return line;
    };

    const keep = (now, twice = [], replaced = []) => {
      files = now;
      const all = new DataTransfer();
      for (const file of files) all.items.add(file);
      input.files = all.files;
      const beside = files.filter(isBeside).map(({ name }) => name);
      const unless = files.some(isTable) ? " unless the table names them" : "";
      const sentences = [`${files.length} file${files.length > 1 ? "s" : ""} chosen, ${size(files.reduce((sum, file) => sum + file.size, 0))}.`];
      if (replaced.length) sentences.push(`Taken out, since the table that you chose later takes its place: ${Sending.named(replaced)}.`);
      if (twice.length) sentences.push(`Chosen before, and kept once: ${Sending.named(twice)}.`);
      if (beside.length) sentences.push(`Left out${unless}, since by their names they are no pictures: ${Sending.named(beside)}.`);
      told.textContent = files.length ? sentences.join(" ") : "";
      listed.hidden = !files.length;
      const others = files.filter((file) => !isPicture(file)); // always shown: of two tables one has to go
      list.replaceChildren(...[...others, ...files.filter(isPicture)].slice(0, SHOWN).map(row));
      more.textContent = files.length > SHOWN ? `and ${files.length - SHOWN} more.` : "";
    };

    // A table takes the place of the one chosen before, whatever its name: a corrected one is often saved under another, and a
    // batch has one at most. A ZIP takes the place of one of its name, and so does a picture of one that cannot be read any more;
    // a picture of a name that is there stays beside it unless it is the same: folders hold other pictures of the same name.
    const add = async (chosen) => {
      const named = new Map();
      const note = (file) => named.set(file.name, [...(named.get(file.name) ?? []), file]);
      files.forEach(note);
      const tables = chosen.filter(isTable).map(({ name }) => name);
      const [out, joining, twice] = [new Set(files.filter((file) => tables.length && isTable(file))), [], []];
      const replaced = [...out].map(({ name }) => name).filter((name) => !tables.includes(name));
      for (const file of chosen) {
        let isThere = false;
        for (const before of named.get(file.name) ?? []) {
          if (!isPicture(file) || (await isGone(before))) out.add(before);
          else isThere ||= await isSame(before, file).catch(() => false);
        }
        if (isThere) {
          twice.push(file.name);
          continue;
        }
        joining.push(file);
        note(file);
      }
      keep([...files, ...joining].filter((file) => !out.has(file)), twice, replaced);
    };

    let last = Promise.resolve();
    const join = (chosen) => {
      last = last.then(() => add(chosen));
    };
    input.addEventListener("change", () => join([...input.files]));
    for (const name of ["dragover", "dragleave", "drop"]) {
      zone.addEventListener(name, (event) => {
        event.preventDefault();
        zone.classList.toggle("over", name === "dragover");
      });
    }
    zone.addEventListener("drop", (event) => join([...event.dataTransfer.files]));
    listed.querySelector("button").addEventListener("click", () => {
      keep([]);
      input.focus();
    });
    join([...input.files]); // what a browser kept when it loaded the page anew
    return { settled: () => last.then(() => files), isBeside };
  };

  return { choosing, isTable, isArchive, isPicture };
})();
