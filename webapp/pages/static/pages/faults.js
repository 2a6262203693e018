// What a script finds wrong in a form is told as a page of the server tells it: in the title, and in a list of sentences
// each of which leads to the field of its id, where there is one; and the fields say that they are wrong.
window.tellFaults = (form, list, sentences, ids = []) => {
  const found = ids.map((id) => id && form.querySelector(`#${id}:not([type=hidden])`));
  const items = sentences.map((sentence, place) => {
    const item = document.createElement("li");
    const field = found[place];
    if (!field) item.textContent = sentence;
    else {
      if (found.indexOf(field) === place) item.id = `${field.name}-error`;
      item.append(Object.assign(document.createElement("a"), { href: `#${field.id}`, textContent: sentence }));
    }
    return item;
  });
  for (const field of form.querySelectorAll("[name]:not([type=hidden])")) {
    const wrong = found.some((other) => other?.name === field.name);
    const error = `${field.name}-error`;
    const told = (field.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id && id !== error);
    const said = { "aria-describedby": (wrong ? [error, ...told] : told).join(" "), "aria-invalid": wrong && "true" };
    for (const [name, value] of Object.entries(said)) value ? field.setAttribute(name, value) : field.removeAttribute(name);
  }
  list.replaceChildren(...items);
  const title = document.title.replace(/^Error: /, "");
  document.title = items.length ? `Error: ${title}` : title;
};
