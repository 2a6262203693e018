"""The lesion classes, named by their ISIC code, in the order used everywhere: the seven that the service answers with,
and the taxonomies of recipes that answer otherwise.

Source: ISIC 2018 challenge, task 3; HAM10000 (Tschandl, Rosendahl, Kittler, Scientific Data 2018,
doi:10.7910/DVN/DBW86T); ISIC 2019 challenge, which has SCC as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

CLASSES: Final[tuple[str, ...]] = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
MALIGNANT: Final[tuple[str, ...]] = ("MEL", "BCC", "AKIEC")

DISPLAY_NAMES: Final[dict[str, str]] = {
    "MEL": "Melanoma",
    "NV": "Melanocytic naevus",
    "BCC": "Basal cell carcinoma",
    "AKIEC": "Actinic keratosis or Bowen's disease",
    "BKL": "Benign keratosis",
    "DF": "Dermatofibroma",
    "VASC": "Vascular lesion",
    "SCC": "Squamous cell carcinoma",
    "BENIGN": "Benign",
    "MALIGNANT": "Malignant",
}


def class_in_sentence(code: str) -> str:
    """What a class is called within a sentence."""
    name = DISPLAY_NAMES[code]
    return name[0].lower() + name[1:]


HAM10000_DX: Final[dict[str, str]] = {
    "mel": "MEL",
    "nv": "NV",
    "bcc": "BCC",
    "akiec": "AKIEC",
    "bkl": "BKL",
    "df": "DF",
    "vasc": "VASC",
}
"""From the `dx` column of HAM10000 to the ISIC code."""


@dataclass(frozen=True)
class Taxonomy:
    """The classes that a model tells apart, in the order of its answers, and those that count as malignant."""

    codes: tuple[str, ...]
    malignant: tuple[str, ...]

    @property
    def index(self) -> dict[str, int]:
        """The place of each code."""
        return {code: place for place, code in enumerate(self.codes)}

    @property
    def malignant_indices(self) -> tuple[int, ...]:
        """The places of the malignant codes."""
        return tuple(self.index[code] for code in self.malignant)


SEVEN: Final = Taxonomy(CLASSES, MALIGNANT)
EIGHT: Final = Taxonomy((*CLASSES, "SCC"), (*MALIGNANT, "SCC"))
BINARY: Final = Taxonomy(("BENIGN", "MALIGNANT"), ("MALIGNANT",))
TAXONOMIES: Final = (SEVEN, EIGHT, BINARY)


def taxonomy(codes: Sequence[str]) -> Taxonomy:
    """The taxonomy with these codes, in this order. Raises KeyError for codes that are none."""
    for known in TAXONOMIES:
        if known.codes == tuple(codes):
            return known
    raise KeyError(tuple(codes))


def is_malignant(code: str) -> bool:
    """Whether a class of any taxonomy counts as malignant here. Raises KeyError for a code that is in none."""
    for known in TAXONOMIES:
        if code in known.codes:
            return code in known.malignant
    raise KeyError(code)
