"""A limit on the work that a parser written in Python can be made to do."""

from __future__ import annotations

from io import BytesIO

from ml.imaging.refusal import ImageRefused

MAX_READS = 200_000  # an ordinary file of any format needs a few thousand


class BudgetedBytes(BytesIO):
    """A file in memory that refuses to be read in millions of tiny pieces, as a file of empty segments asks for.

    Raises `ImageRefused` (decompression_bomb) at read number `MAX_READS`.
    """

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MAX_READS:
            raise ImageRefused("decompression_bomb", "too many small parts")
        return super().read(size)
