"""The seven lesion classes, named by their ISIC code, in the order used everywhere.

Source: ISIC 2018 challenge, task 3; HAM10000 (Tschandl, Rosendahl, Kittler, Scientific Data 2018,
doi:10.7910/DVN/DBW86T).
"""

from typing import Final

CLASSES: Final[tuple[str, ...]] = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
MALIGNANT: Final[tuple[str, ...]] = ("MEL", "BCC", "AKIEC")

INDEX: Final[dict[str, int]] = {code: index for index, code in enumerate(CLASSES)}
MALIGNANT_INDICES: Final[tuple[int, ...]] = tuple(INDEX[code] for code in MALIGNANT)

DISPLAY_NAMES: Final[dict[str, str]] = {
    "MEL": "Melanoma",
    "NV": "Melanocytic naevus",
    "BCC": "Basal cell carcinoma",
    "AKIEC": "Actinic keratosis or Bowen's disease",
    "BKL": "Benign keratosis",
    "DF": "Dermatofibroma",
    "VASC": "Vascular lesion",
}

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


def is_malignant(code: str) -> bool:
    """Whether a class counts as malignant here; raises KeyError for a code that is not one of CLASSES."""
    return CLASSES[INDEX[code]] in MALIGNANT
