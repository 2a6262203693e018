"""Files that come without a table: each is a case of its own, known by the file's name, or by its path in a ZIP."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from unicodedata import normalize

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
