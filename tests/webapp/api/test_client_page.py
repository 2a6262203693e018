"""What docs/client.md says of what is taken is what is taken."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from ml.imaging.archive import Limits
from ml.imaging.quality import MIN_SHORT_SIDE
from ml.imaging.refusal import SENTENCES
from ml.imaging.still import MAX_PIXELS, MIN_SIDE
from webapp.cases import services
from webapp.cases.manifest import fields, reading
from webapp.cases.manifest.columns import COLUMNS
from webapp.cases.models import IN_TWO_CASES, NOT_A_LESION
from webapp.cases.refused import FOR_CLINICS

DOCUMENT = (Path(__file__).parents[3] / "docs" / "client.md").read_text()
FIELDS = DOCUMENT.partition("## The manifest")[2].partition("\n### ")[0]
TOLD = DOCUMENT.partition("## What is taken")[2].partition("\n## ")[0]
MB, GB = 1024**2, 1024**3
LONGEST = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // MB


def test_every_field_of_a_case_is_told_and_no_other() -> None:
    rows = [line.split("|")[1] for line in FIELDS.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(COLUMNS)


@pytest.mark.parametrize("code", [*SENTENCES, NOT_A_LESION, IN_TWO_CASES])
def test_every_reason_is_named(code: str) -> None:
    assert f"`{code}`" in TOLD


@pytest.mark.parametrize("code", FOR_CLINICS)
def test_what_may_be_overridden_is_said_of_the_quality_check(code: str) -> None:
    [row] = [line for line in TOLD.splitlines() if line.startswith("| what the quality check finds |")]
    assert f"`{code}`" in row
    assert TOLD.count(f"`{code}`") == 1


@pytest.mark.parametrize(
    "limit",
    [
        f"{settings.UPLOAD_MAX_BYTES // MB} MB and {MAX_PIXELS // 1_000_000} million pixels",
        f"at least {MIN_SHORT_SIDE} pixels",
        f"below {MIN_SIDE} pixels no picture",
        f"up to {fields.MAX_IMAGES} images",
        f"{reading.MAX_CASES:,} cases, {reading.MAX_IMAGES:,} images and {LONGEST} MB",
        f"a batch up to {services.MAX_CASES:,} cases",
        f"up to {settings.IMPORT_MAX_BYTES // GB} GB (`IMPORT_MAX_BYTES` of the site), {Limits.entries:,} files",
        f"a table of up to {Limits.manifest_bytes // MB} MB",
        f"it is {Limits.total_bytes // GB} GB at most",
    ],
)
def test_every_limit_is_told(limit: str) -> None:
    assert limit in " ".join(TOLD.split())
