"""A model card on a page: Markdown to safe HTML that fits under the page's own headings."""

from urllib.parse import urlsplit

from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

from webapp import storage
from webapp.registry.models import ModelRelease

_markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def model_card(release: ModelRelease) -> SafeString | None:
    """The release's model card as HTML, its title as a third-level heading; None where storage has none."""
    try:
        text = storage.read(f"{release.key}/model_card.md").decode()
    except FileNotFoundError:
        return None
    tokens = _markdown.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
        elif token.type == "table_open":
            token.attrSet("class", "table table-sm")
        elif token.type == "inline":
            _name_files(token.children or [])
    # The text's own HTML is escaped by the parser, and links to anything but http(s) and mailto are dropped.
    html: str = _markdown.renderer.render(tokens, _markdown.options, {})
    return mark_safe(html)  # noqa: S308


def _name_files(tokens: list[Token]) -> None:
    """In place of a link to another file of the bundle, its name: no page shows that file."""
    name = ""
    for token in tokens:
        if token.type == "link_open" and not urlsplit(href := str(token.attrs["href"])).scheme:
            name, token.hidden = href, True
        elif token.type == "link_close" and name:
            token.type, token.content, name = "text", f" ({name} in the bundle's folder)", ""
