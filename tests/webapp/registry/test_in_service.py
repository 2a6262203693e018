"""What an operator sees of the model in service, and that nothing of it is measured on what a release has learnt."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from ml.advice import Advice
from tests.factories import (
    CaseFactory,
    CaseResultFactory,
    ConsensusFactory,
    ImageFactory,
    JobFactory,
    MembershipFactory,
    ReleaseFactory,
    ResultFactory,
    RunFactory,
)
from webapp.accounts.models import Membership, Patient
from webapp.audit.services import SYSTEM
from webapp.cases.models import NOT_A_LESION, Case
from webapp.inference.models import Job
from webapp.labels.models import Consensus
from webapp.registry import in_service
from webapp.registry.in_service import ADVISED, beside_dermatologists, weeks
from webapp.registry.models import ModelRelease, TrainingRun
from webapp.registry.services import promote

pytestmark = pytest.mark.django_db
URGENT, ROUTINE, NONE = (advice.value for advice in Advice)


def advised(advice: str, came: datetime) -> None:
    result = CaseResultFactory(advice=advice)
    Case.objects.filter(pk=result.case_id).update(created_at=came)


def settled(release: ModelRelease, dx: str, advice: str, *, drawn: bool = True, **image: object) -> Consensus:
    """A picture whose class annotators have settled, beside the advice of a release."""
    shown = ImageFactory(ready=True, **image)
    result = ResultFactory(job=JobFactory(image=shown, succeeded=True), release=release, advice=advice)
    consensus: Consensus = ConsensusFactory(image=shown, dx=dx, drawn=drawn, result=result)
    return consensus


def shares() -> dict[ModelRelease, tuple[tuple[int, int], tuple[int, int]]]:
    """For each release how many malignant pictures it referred, of how many, and how many benign ones it did not."""
    told = beside_dermatologists()
    return {row.release: ((row.malignant.right, row.malignant.of), (row.benign.right, row.benign.of)) for row in told}


def test_each_week_says_what_was_advised_what_was_turned_away_and_what_began_to_serve() -> None:
    now = timezone.now()
    for advice, days in ((URGENT, 0), (NONE, 0), (NONE, 0), (ROUTINE, 7), (ROUTINE, 7 * in_service.WEEKS)):
        advised(advice, now - timedelta(days=days))
    CaseFactory()  # without a result yet
    for reason, days in ((NOT_A_LESION, 7), (NOT_A_LESION, 7), ("model_error", 7)):
        JobFactory(state=Job.State.FAILED, reason=reason, finished_at=now - timedelta(days=days))
    release = promote(actor=SYSTEM, release=ReleaseFactory())
    this, last, *others = weeks()
    assert (list(this.advised.values()), this.cases, this.turned_away) == ([1, 0, 2], 3, 0)
    assert (list(last.advised.values()), last.cases, last.turned_away) == ([0, 1, 0], 1, 2)
    assert this.made_active == [release]
    assert others == []  # nothing had happened before


def test_weeks_begin_at_midnight_of_the_sites_clock_also_where_it_is_changed() -> None:
    with timezone.override("Europe/Berlin"):
        this = timezone.localtime()
        monday = (this - timedelta(days=this.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
        boundaries = [monday - timedelta(weeks=number) for number in range(in_service.WEEKS)]
        for boundary in boundaries:
            advised(NONE, boundary)
            advised(NONE, boundary - timedelta(minutes=1))
        assert [week.begins for week in weeks()] == [boundary.date() for boundary in boundaries]
        assert [week.cases for week in weeks()] == [1] + [2] * (in_service.WEEKS - 1)


def test_the_advice_of_a_week_is_a_stretch_of_an_index() -> None:
    now = timezone.now()
    values: dict[str, Any] = {"begins": [now], "ends": [now], "advice": in_service.ADVICE}
    with connection.cursor() as cursor:
        # Of tables that were made anew Postgres has counted nothing, and takes them for long ones.
        cursor.execute("TRUNCATE accounts_organisation CASCADE")
        cursor.execute("EXPLAIN " + ADVISED, values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "case_by_advice" in plan


def test_a_release_stands_beside_what_dermatologists_named() -> None:
    release, other = ReleaseFactory(), ReleaseFactory()
    for dx, advice in (("MEL", URGENT), ("BCC", ROUTINE), ("AKIEC", NONE), ("NV", NONE), ("BKL", ROUTINE)):
        settled(release, dx, advice)
    settled(release, "MEL", NONE, drawn=False)  # chosen since the model was unsure
    settled(release, "cannot_tell", NONE)
    settled(other, "DF", NONE)
    ConsensusFactory(drawn=True)  # which no release had answered
    assert shares() == {release: ((2, 3), (1, 2)), other: ((0, 0), (1, 1))}


def test_no_release_is_measured_on_patients_of_whom_it_may_have_learnt() -> None:
    learnt = ConsensusFactory()
    run: TrainingRun = RunFactory(evaluated=True)
    for release in (run.candidate, run.parent):
        assert release is not None
        again = CaseFactory(patient=learnt.image.case.patient, batch__organisation=learnt.image.organisation)
        settled(release, "MEL", URGENT, case=again)
        settled(release, "MEL", URGENT, case__patient__external_id=f"{Patient.UNNAMED}{release.pk}")
        settled(release, "NV", NONE)
    assert shares() == {run.candidate: ((0, 0), (1, 1)), run.parent: ((2, 2), (1, 1))}


def test_the_page_tells_it_in_words(client: Client) -> None:
    client.force_login(MembershipFactory(role=Membership.Role.OPERATOR).user)
    page = client.get("/models/service/").content.decode()
    assert "No picture that chance gave to annotators is settled yet." in page
    release = ReleaseFactory()
    measured = {"lesions": 90, "malignant_lesions": 40, "metrics": {"sensitivity": {"value": 0.962}}}
    release.manifest["metrics"] = measured
    release.save()
    settled(release, "MEL", URGENT)
    advised(URGENT, timezone.now())
    page = client.get("/models/service/").content.decode()
    row = page[page.index("Malignant</th>") :].partition("<tbody>")[2].partition("</tbody>")[0]
    cells = [" ".join(re.sub("<[^>]+>", "", cell).split()) for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)]
    assert cells == ["1 of 1 referred", "0.207 to 1.000", "0.962", "0 of 0 not referred", "–", "–"]
    assert '1 <span class="text-secondary">(100%)</span>' in page
    release.manifest["metrics"] = measured | {"malignant_lesions": 4}
    release.save()
    assert "0.962" not in client.get("/models/service/").content.decode()  # of too few to say


@pytest.mark.parametrize("role", [Membership.Role.PROVIDER, Membership.Role.ANNOTATOR])
def test_only_operators_see_it(client: Client, role: str) -> None:
    client.force_login(MembershipFactory(role=role).user)
    assert client.get("/models/service/").status_code == 403
