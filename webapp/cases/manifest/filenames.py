"""Names of files: which file a client means by one, and by which a case is known that comes without a table.

Of a ZIP the name is a path, or as much of its end as tells it apart.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from unicodedata import normalize

TOLD_APART = 6  # files that one name may mean: more are not looked for
LONGEST = 100  # characters, as `Case.external_id`
ROOM = 90  # of them for the name where a number follows it
NO_PICTURES = (
    r"\.(?:txt|md|rst|rtf|html?|tex|log|bib|pdf|docx?|odt|xlsx?|ods|pptx?|tsv|jsonl?|xml|ya?ml|ini|md5|sha256|url|lnk"
    r"|py|sh|db|nomedia|ds_store|aae|xmp|mov|mp4)$|(?:^|/)(?:readme|licen[sc]e|\._[^/]*)$"
)
"""Names of files that lie beside pictures, and that nobody means as one, whatever the case of their letters; read alike
by the page's script.
"""


def case_ids(names: Sequence[str], *, given: Iterable[str] = ()) -> list[str]:
    """An id for each file, in order, in Unicode's form NFC, no two alike and none as one that is `given` to another
    case: the file's name without the ending where that is one file's alone.
    """
    names = [normalize("NFC", name) for name in names]
    stems, taken = [stem(name) for name in names], {normalize("NFC", name) for name in given}
    counts, numbers = Counter([*stems, *taken]), Counter[str]()
    ids = []
    for name, short in zip(names, stems, strict=True):
        wanted = short if counts[short] == 1 else name
        if "/" in wanted and len(wanted) > LONGEST:  # the patient's folder and the file say more than the outer folders
            wanted = "…" + wanted[1 - ROOM :]
        case_id, begin = wanted[:LONGEST], wanted[:ROOM]
        while case_id in taken:
            numbers[begin] += 1
            case_id = f"{begin} ({numbers[begin] + 1})"
        taken.add(case_id)
        ids.append(case_id)
    return ids


def is_no_picture(name: str) -> bool:
    """Whether a file's name, or its path, says that nobody means it as a picture. A damaged one ends as a picture."""
    return re.search(NO_PICTURES, name, re.IGNORECASE) is not None


def stem(name: str) -> str:
    """A file's name, or its path, without the ending."""
    return name.removesuffix(PurePath(name).suffix) or name


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
    return normalize("NFC", name).casefold()


def _from_its_end(path: str) -> str:
    """A path whose last part comes first: what ends alike then sorts together, and each part ends in a slash."""
    parts = folded(path).split("/")
    return "".join(f"{part}/" for part in reversed(parts))
