// Sends the files that an open batch still awaits: chosen again, only what has not arrived is sent.
document.addEventListener("submit", (event) => {
  const form = event.target.closest("#awaited");
  if (!form) return;
  event.preventDefault();
  const panel = document.getElementById("awaited-progress"); // apart from the form, which the page may renew meanwhile
  const files = [...form.elements.files.files];
  const token = form.elements.csrfmiddlewaretoken.value;
  const meter = new Sending.Meter(panel, files.reduce((sum, file) => sum + file.size, 0));
  const send = async () => {
    meter.say("Sending …");
    const isArchive = (file) => /\.zip$/i.test(file.name);
    await Sending.pictures(files.filter((file) => !isArchive(file)), form.action, token, meter);
    for (const file of files.filter(isArchive)) await Sending.archive(file, form.dataset, token, meter);
    return location.pathname;
  };
  Sending.during(form, panel, send, (message) => {
    document.getElementById("awaited-error").textContent = `${message} Try again.`;
  });
});
