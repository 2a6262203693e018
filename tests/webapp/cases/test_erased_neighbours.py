"""What other cases and the report of a ZIP said of a case that is erased: they do not name it any more."""

import pytest

from tests.factories import BatchFactory, CaseFactory, ImageFactory
from tests.ml.imaging.samples import zipped
from tests.webapp.api.clinic import Clinic
from tests.webapp.cases.telling import MARK, everything
from tests.webapp.cases.zips import codes, expand_next, photo, sent
from webapp.audit.services import SYSTEM
from webapp.cases.erasure import erase_case
from webapp.cases.intake import InspectionResult, claim_images, finish_intake
from webapp.cases.models import Archive, Case, Image

pytestmark = pytest.mark.django_db(transaction=True)


def with_one_picture() -> tuple[Case, Case]:
    """Two cases of a batch that came with the same picture, the first of them named by MARK."""
    batch = BatchFactory()
    first, second = (CaseFactory(batch=batch, external_id=name) for name in (f"{MARK} 1", "2"))
    images = [ImageFactory(case=case, stored=True) for case in (first, second)]
    token, _ = claim_images(limit=2)
    for image in images:
        image.refresh_from_db()
        finish_intake(token=token, inspected=[(image, InspectionResult("a" * 64, 600, 450))])
    return first, second


def test_another_case_that_had_the_same_picture_does_not_name_it() -> None:
    first, second = with_one_picture()
    assert MARK in Image.objects.get(case=second).advice

    erase_case(actor=SYSTEM, case=first)

    assert [row for row in everything() if MARK in row] == []
    told = Image.objects.get(case=second)
    assert (told.reason, told.state) == ("in_two_cases", "rejected")
    assert told.advice.startswith("Another case of this batch came with this picture, too, so it answers neither.")


def test_another_case_does_not_name_it_though_it_has_sent_another_picture_since() -> None:
    first, _ = with_one_picture()
    first.images.update(sha256="b" * 64)

    erase_case(actor=SYSTEM, case=first)

    assert [row for row in everything() if MARK in row] == []


def test_another_case_goes_on_naming_the_one_that_has_its_picture() -> None:
    batch = BatchFactory()
    cases = [CaseFactory(batch=batch, external_id=name) for name in (f"{MARK} 1", "2", "3")]
    for case in cases:
        ImageFactory(case=case, stored=True)
    token, images = claim_images(limit=3)
    first_last = {cases[2].pk: 0, cases[0].pk: 1, cases[1].pk: 2}
    for image in sorted(images, key=lambda image: first_last[image.case_id]):
        finish_intake(token=token, inspected=[(image, InspectionResult("a" * 64, 600, 450))])

    erase_case(actor=SYSTEM, case=cases[1])

    assert f"Case {MARK} 1 of" in Image.objects.get(case=cases[2]).advice


def test_a_report_names_no_file_that_a_table_said_of_the_case() -> None:
    table = f"case_id,images\n{MARK},{MARK}-1.jpg;{MARK}-2.jpg;1.jpg\nother,gone.jpg;a/1.jpg\n".encode()
    files = {f"{MARK}-1.jpg": photo(1), "a/1.jpg": photo(2), "b/1.jpg": photo(3)}
    batch = sent(Clinic(), zipped({"cases.csv": table, **files}))
    before = codes(expand_next())
    assert ("", "files_missing") in before

    erase_case(actor=SYSTEM, case=batch.cases.get(external_id=MARK))

    assert [row for row in everything() if MARK in row] == []
    report = Archive.objects.get().report
    assert [(line["name"], line["code"]) for line in report] == before
    assert "1.jpg fits" not in str(report)
