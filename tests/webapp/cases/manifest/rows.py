"""Rows of a manifest, and what is wrong with them."""

from typing import Any

from webapp.cases.manifest.reading import Manifest


def row(**fields: Any) -> dict[str, Any]:
    return {"case_id": "c1", "patient_id": "p1", "images": ["a.jpg"], **fields}


def codes(manifest: Manifest) -> list[tuple[int, str, str]]:
    return [(error.row, error.field, error.code) for error in manifest.errors]
