"""The words for sex, body site and kind of picture that tables of clinics and of archives use."""

import pytest

from tests.webapp.cases.manifest.rows import codes, row
from webapp.cases.manifest.reading import from_csv, from_json
from webapp.cases.manifest.sites import HAM10000
from webapp.patients.photos import BODY_SITES


@pytest.mark.parametrize(
    ("said", "read"),
    [(" F ", "female"), ("Male", "male"), ("o", "other"), ("OTHER", "other"), ("U", "unknown"), ("n/a", "unknown")],
)
def test_sex_is_read_in_whatever_letters(said: str, read: str) -> None:
    assert from_json([row(sex=said)]).checked()[0].sex == read


@pytest.mark.parametrize("site", [*HAM10000, *BODY_SITES, "palms/soles", "nail nos", "left calf", "right 4th toe"])
def test_sites_of_archives_and_more_exact_ones_are_kept(site: str) -> None:
    assert from_json([row(anatom_site=site)]).checked()[0].anatom_site == site


@pytest.mark.parametrize(
    ("said", "read"),
    [("Lower_Extremity", "lower extremity"), (" Head &  Neck ", "head & neck"), ("Eyelids", "eyelids"), ("NaN", "")],
)
def test_a_site_is_kept_in_one_form(said: str, read: str) -> None:
    assert from_json([row(anatom_site=said)]).checked()[0].anatom_site == read


def test_the_kinds_of_picture_of_published_tables_are_understood() -> None:
    table = b"isic_id,image_type\na,dermoscopic\nb,clinical: close-up\n"
    assert [case.capture for case in from_csv(table).checked()] == ["dermoscopic", "clinical"]


def test_every_word_that_is_not_understood_is_named_with_its_row() -> None:
    table = b"image_id,sex,localization\na,x,back\nb,female,Neptune\nc,female,back\n"
    manifest = from_csv(table)
    assert codes(manifest) == [(2, "sex", "sex_invalid"), (3, "anatom_site", "anatom_site_unknown")]
    assert "such as: abdomen" in manifest.errors[1].message
