// Sends the files that an open batch still awaits: chosen again, only what has not arrived is sent. And another file in the
// place of one that was refused.
document.addEventListener("submit", (event) => {
  const form = event.target.closest("#awaited, .another-file");
  if (!form) return;
  event.preventDefault();
  const panel = document.getElementById("awaited-progress"); // apart from the form, which the page may renew meanwhile
  const input = form.querySelector("input[type=file]");
  const files = [...input.files];
  const meter = new Sending.Meter(panel, files.reduce((sum, file) => sum + file.size, 0));
  const say = (words, link = "") => {
    document.getElementById("awaited-error").replaceChildren(words, " ", link);
  };
  const isArchive = (file) => /\.zip$/i.test(file.name);
  const pictures = files.filter((file) => !isArchive(file));
  const another = async () => {
    await Sending.another(files[0], form.action, meter);
    return () => { // the answer to the form says what became of it
      input.disabled = true;
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "sent", value: "1" }));
      form.submit();
    };
  };
  const awaited = async () => {
    const to = JSON.parse(form.dataset.to);
    const left = await Sending.pictures(pictures, to, meter);
    for (const file of files.filter(isArchive)) await Sending.archive(file, to, meter);
    const told = [];
    if (left.unknown.length) told.push(`No picture of this batch has this name: ${Sending.named(left.unknown)}.`);
    if (left.before.length) told.push(`Not sent, because a file of this name has arrived before: ${Sending.named(left.before)}.`);
    say(told.join(" "));
    return told.length ? null : () => location.assign(location.pathname);
  };
  const send = () => {
    meter.say("Sending …");
    return form.id === "awaited" ? awaited() : another();
  };
  const press = form.querySelector("button").textContent;
  const large = Sending.tooLarge(pictures, form.dataset);
  say(large);
  if (!large) Sending.during(form, panel, send, (message, link) => say(`${message} Press ${press} again: what has arrived is not sent twice.`, link));
});
