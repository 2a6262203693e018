"""What a browser would send of a page."""

from html.parser import HTMLParser


class _Forms(HTMLParser):
    """Reads what each form of a page says, in the order of its fields."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, list[str]]] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        name, value, kind = said.get("name") or "", said.get("value"), said.get("type")
        if tag == "form":
            self.forms.append({})
        elif tag == "select":
            self._select = name
        elif tag == "option" and "selected" in said:
            self._add(self._select, value or "")
        elif tag == "input" and name and kind not in ("submit", "image", "button", "file"):
            if kind not in ("checkbox", "radio"):
                self._add(name, value or "")
            elif "checked" in said:
                self._add(name, "on" if value is None else value)

    def _add(self, name: str, value: str) -> None:
        if self.forms:
            self.forms[-1].setdefault(name, []).append(value)


def as_shown(html: str) -> dict[str, list[str]]:
    """The fields of the largest form of a page, as it is sent where nobody has touched it."""
    reader = _Forms()
    reader.feed(html)
    return max(reader.forms, key=len)
