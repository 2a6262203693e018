"""Splits in which no lesion and no patient stands on two sides."""

import hashlib
from collections.abc import Mapping
from typing import Final

import pandas as pd

FRACTIONS: Final[Mapping[str, float]] = {"test": 0.15, "validation": 0.15}
"""The rest is train."""


def groups(table: pd.DataFrame) -> pd.Series:
    """A group name for each row: rows that share a lesion or a patient, also through other rows, get the same."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for lesion, patient in zip(table["lesion_id"], table["patient_id"], strict=True):
        if patient:
            a, b = sorted((root(f"lesion {lesion}"), root(f"patient {patient}")))
            parent[b] = a
    return pd.Series([root(f"lesion {lesion}") for lesion in table["lesion_id"]], index=table.index)


def assign(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """A copy of the table with `split` filled: each class is divided by FRACTIONS, whole groups at a time, in an order
    fixed by `seed`.

    A group with several classes counts as the rarest of them, so that rare classes reach every split.
    """
    group = groups(table)
    frequency = table["dx"].value_counts()
    frame = pd.DataFrame({"group": group, "dx": table["dx"], "frequency": table["dx"].map(frequency)})
    rarest = frame.sort_values(["frequency", "dx"]).groupby("group", sort=True)["dx"].first()
    order = pd.Series({name: hashlib.sha256(f"{seed} {name}".encode()).hexdigest() for name in rarest.index})
    side: dict[str, str] = {}
    for code in sorted(set(rarest)):
        names = order[rarest.index[rarest == code]].sort_values().index.tolist()
        start = 0
        for split, fraction in FRACTIONS.items():
            count = round(len(names) * fraction)
            side.update(dict.fromkeys(names[start : start + count], split))
            start += count
        side.update(dict.fromkeys(names[start:], "train"))
    return table.assign(split=group.map(side))
