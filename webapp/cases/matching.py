"""Which file is meant by a name that a client gives: of a ZIP its path, or as much of its end as tells it apart."""

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable

from webapp.cases.naming import stem

TOLD_APART = 6  # files that one name may mean: more are not looked for


class Files:
    """Files, looked up as people write them: in any case of letters, with or without the ending."""

    def __init__(self, files: Iterable[tuple[str, str]]) -> None:
        """`files` are paths, parted by `/`, each with the name that its file goes by."""
        files = set(files)  # a ZIP may hold one path twice
        self._whole = sorted((_from_its_end(path), name) for path, name in files)
        self._stems = sorted((_from_its_end(stem(path)), name) for path, name in files)

    def meant(self, wanted: str) -> list[str]:
        """The names of the files that `wanted` may mean: one where it is clear, none, or up to `TOLD_APART`.

        A whole path is meant before the end of a longer one, and a name with its ending before one without.
        """
        key = _from_its_end(wanted)
        for files in (self._whole, self._stems):
            begin = bisect_left(files, (key,))
            fitting = [file for file in files[begin : begin + TOLD_APART] if file[0].startswith(key)]
            whole = [file for file in fitting if file[0] == key]
            if fitting:
                return list(dict.fromkeys(name for _, name in whole or fitting))
        return []


def folded(name: str) -> str:
    """The same for all names that people take for one: in any case of letters, however accents are written."""
    return unicodedata.normalize("NFC", name).casefold()


def _from_its_end(path: str) -> str:
    """A path whose last part comes first: what ends alike then sorts together, and each part ends in a slash."""
    parts = folded(path).split("/")
    return "".join(f"{part}/" for part in reversed(parts))
