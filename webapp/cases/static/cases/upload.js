// Sends the names first and the files afterwards, so that what a broken connection lost is known and sent again.
(() => {
  const form = document.getElementById("upload");
  const input = form.elements.files;
  const errors = document.getElementById("upload-errors");
  const panel = document.getElementById("upload-progress");
  const { isTable, isArchive, isPicture } = Choosing;
  const chosen = Choosing.choosing(input, document.getElementById("drop-zone"));

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
    const files = await chosen.settled();
    if (!files.length) {
      show(NOT_YET, [input.dataset.missing], { fields: [input.id] });
      return null;
    }
    const archives = files.filter(isArchive);
    const tables = files.filter(isTable);
    const pictures = files.filter(isPicture);
    const meter = new Sending.Meter(panel, files.reduce((sum, file) => sum + file.size, 0));
    const unsent = Sending.tooLarge(pictures.filter((file) => !chosen.isBeside(file)), form.dataset) || (await Sending.changed([...tables, ...archives]));
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
    Sending.during(form, panel, send, (message, link) => show(batch ? NOT_ALL : NO_ANSWER, [message], { batch, link }));
  });
})();
