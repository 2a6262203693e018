import pytest

from ml.classes import DISPLAY_NAMES, TAXONOMIES, is_malignant, taxonomy


def test_a_class_is_malignant_or_not_in_every_taxonomy_that_has_it() -> None:
    for known in TAXONOMIES:
        assert {code for code in known.codes if is_malignant(code)} == set(known.malignant)
    assert {code for code in DISPLAY_NAMES if is_malignant(code)} == {"MEL", "BCC", "AKIEC", "SCC", "MALIGNANT"}


def test_what_is_no_class_is_neither() -> None:
    with pytest.raises(KeyError):
        is_malignant("cannot_tell")
    with pytest.raises(KeyError):
        taxonomy(["MEL", "NV"])


def test_every_class_has_a_name() -> None:
    assert set(DISPLAY_NAMES) == {code for known in TAXONOMIES for code in known.codes}
