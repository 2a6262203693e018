"""What of a set of images is left out, and what is wrong with the rest, in words."""

from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd

from ml.data.table import Dataset

NAMED: Final = 5
"""Of files and images that are left out, how many are named."""


def named(things: Sequence[str]) -> str:
    """How many there are, and the first of them by name."""
    return f"{len(things)} ({', '.join(things[:NAMED])}{', …' if len(things) > NAMED else ''})"


def counts(things: Mapping[str, int]) -> str:
    """`57 missing_age, 2 missing_file`."""
    return ", ".join(f"{count} {name}" for name, count in sorted(things.items()))


def misnamed(dataset: Dataset) -> str:
    """A warning of the labels that are no class, as they are written; empty where there are none."""
    if not dataset.unknown:
        return ""
    return (
        f"no class has the label of these images, which are left out: {counts(dataset.unknown)}. "
        f"The classes are {', '.join(dataset.taxonomy.codes)}. Correct a label that is misspelt."
    )


def lone(dataset: Dataset) -> pd.DataFrame:
    """The rows of images that count as a lesion each, since nobody says which of them show one; the data set's own
    count is of before it was thinned.
    """
    table = dataset.table
    return table[(table["lesion_id"] == table["image_id"]) & ("image_as_lesion" in dataset.problems)]


def unreadable(refused: Mapping[str, str]) -> str:
    """Which images were left out, since they cannot be read, with why; empty where there are none."""
    if not refused:
        return ""
    told = [f"{image_id} ({code})" for image_id, code in refused.items()]
    return f"Images left out since they cannot be read: {named(told)}"
