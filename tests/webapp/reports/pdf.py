"""What a PDF says, and to whom."""

import pypdfium2


def text(pdf: bytes) -> str:
    """All the text, in the order of the pages."""
    return "\n".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(pdf)).replace("\r\n", "\n")


def accessible(pdf: bytes) -> bool:
    """Whether the file was found to keep PDF/UA-1: tagged, with a title and a language, every character shown."""
    return b"pdfuaid:part" in pdf
