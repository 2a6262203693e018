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
    const describedBy = (wrong ? [error, ...told] : told).join(" ");
    describedBy ? field.setAttribute("aria-describedby", describedBy) : field.removeAttribute("aria-describedby");
    field.setAttribute("aria-invalid", wrong); // also that it is not: what is required and empty a browser calls wrong
  }
  list.replaceChildren(...items);
  const title = document.title.replace(/^Error: /, "");
  document.title = items.length ? `Error: ${title}` : title;
};
