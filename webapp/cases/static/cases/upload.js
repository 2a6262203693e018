// Sends the names first and the files afterwards, so that what a broken connection lost is known and sent again.
(() => {
  const form = document.getElementById("upload");
  const input = form.elements.files;
  const zone = document.getElementById("drop-zone");
  const chosen = document.getElementById("chosen");
  const errors = document.getElementById("upload-errors");
  const panel = document.getElementById("upload-progress");
  const ending = (file) => file.name.split(".").pop().toLowerCase();
  const isTable = (file) => ["csv", "json"].includes(ending(file));
  const isPicture = (file) => ending(file) !== "zip" && !isTable(file);
  const noPictures = new RegExp(input.dataset.noPictures, "i");
  const isBeside = (file) => isPicture(file) && noPictures.test(file.name); // no picture, by its name
  const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

  const tell = () => {
    const files = [...input.files];
    const bytes = files.reduce((sum, file) => sum + file.size, 0);
    const beside = files.filter(isBeside).map((file) => file.name);
    const listed = files.some(isTable) ? " unless the table names them" : "";
    const told = beside.length ? ` Left out${listed}, since by their names they are no pictures: ${Sending.named(beside)}.` : "";
    chosen.textContent = files.length ? `${files.length} file${files.length > 1 ? "s" : ""} chosen, ${size(bytes)}.${told}` : "";
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
    const dropped = [...event.dataTransfer.files];
    const replaced = (file) => !isPicture(file) && dropped.some(({ name }) => name === file.name); // a table that was corrected
    for (const file of [...[...input.files].filter((file) => !replaced(file)), ...dropped]) all.items.add(file);
    input.files = all.files;
    tell();
  });

  const NOT_YET = "Nothing was stored yet. Correct this and upload again:";
  const NO_ANSWER = "The server has not answered. Upload again; if it has made the batch, it makes no second one:";
  const NOT_ALL = "The batch was made, but not every file has arrived. Upload again; what has arrived is not sent twice:";

  const show = (heading, sentences, { fields = [], table = "", batch = "", link = "" } = {}) => {
    const list = Object.assign(document.createElement("ul"), { className: "mt-2 mb-0" });
    tellFaults(form, list, sentences, fields);
    errors.replaceChildren();
    if (!sentences.length) return;
    const box = document.createElement("div");
    box.className = "alert alert-danger";
    box.tabIndex = -1;
    const title = Object.assign(document.createElement("h2"), { className: "alert-title h3", textContent: heading });
    const body = document.createElement("div");
    body.append(title);
    if (table) body.append(Object.assign(document.createElement("a"), { className: "btn btn-sm", href: table, download: "mistakes.csv", textContent: "Download every mistake as CSV" }));
    body.append(list);
    const there = batch && Object.assign(document.createElement("a"), { href: batch, textContent: "Go to the batch as it is" });
    for (const way of [link, there].filter(Boolean)) {
      const line = Object.assign(document.createElement("p"), { className: "mt-2 mb-0" });
      line.append(way);
      body.append(line);
    }
    box.append(body);
    errors.append(box);
    errors.scrollIntoView({ block: "start" });
    box.focus({ preventScroll: true });
  };

  let batch = ""; // its page, once it is made
  const send = async () => {
    const files = [...input.files];
    const archives = files.filter((file) => ending(file) === "zip");
    const tables = files.filter(isTable);
    const pictures = files.filter(isPicture);
    const meter = new Sending.Meter(panel, files.reduce((sum, file) => sum + file.size, 0));
    const unsent = Sending.tooLarge(pictures.filter((file) => !isBeside(file)), form.dataset) || (await Sending.changed([...tables, ...archives]));
    if (unsent) {
      show(NOT_YET, [unsent], { fields: [input.id] });
      return null;
    }
    meter.say("Sending …");
    const first = new FormData(form);
    first.delete("files");
    first.delete("csrfmiddlewaretoken"); // the header has the one that holds now
    for (const file of tables) first.append("files", file);
    first.append("names", JSON.stringify(pictures.map((file) => file.name)));
    first.append("archives", JSON.stringify(archives.map((file) => file.size)));
    const made = await Sending.request("POST", form.action, first, { headers: Sending.json() });
    if (!made.answer.batch) {
      const heading = made.status < 500 ? NOT_YET : NO_ANSWER;
      const refused = Sending.refusal(made);
      const link = Sending.signIn(refused, panel);
      show(heading, made.answer.errors ?? [refused.message], { fields: made.answer.fields, table: made.answer.error_table, link });
      return null;
    }
    batch = made.answer.batch;
    history.replaceState(null, "", batch); // where a reload finds what is still awaited
    const listed = pictures.filter((file) => !made.answer.unlisted.includes(file.name));
    const { unknown } = await Sending.pictures(listed, made.answer, meter);
    for (const file of archives) await Sending.archive(file, made.answer, meter);
    if (unknown.length) throw new Error(`The batch has no picture of this name: ${Sending.named(unknown)}.`);
    return () => location.assign(batch);
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    show("", []);
    batch = "";
    if (!input.files.length) {
      show(NOT_YET, [input.dataset.missing], { fields: [input.id] });
      return;
    }
    Sending.during(form, panel, send, (message, link) => show(batch ? NOT_ALL : NO_ANSWER, [message], { batch, link }));
  });
})();
