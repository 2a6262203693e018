"""What an operator is told of images of which a clinic names neither patient nor lesion."""

import pytest
from django.test import Client

from tests.factories import ConsensusFactory, MembershipFactory, ReleaseFactory, RunFactory
from webapp.accounts.models import Membership, Patient
from webapp.audit.services import SYSTEM
from webapp.errors import Problem
from webapp.registry.training import start_run

pytestmark = pytest.mark.django_db


def test_where_nobody_is_named_it_is_said_why_there_is_nothing_to_test_with() -> None:
    ReleaseFactory(active=True)
    for number in range(4):
        ConsensusFactory(image__case__patient__external_id=f"{Patient.UNNAMED}{number}")
    with pytest.raises(Problem) as few:
        start_run(actor=SYSTEM)
    assert few.value.details["images"] == {"train": 4, "validation": 0, "test": 0}
    assert "4 of them are only to train on, since neither patient nor lesion is named" in few.value.message


@pytest.mark.parametrize(("by_patient", "of_nobody"), [(None, None), (0, 0), (7, 5)])
def test_a_run_claims_no_more_of_its_splits_than_is_known(
    client: Client, by_patient: int | None, of_nobody: int | None
) -> None:
    client.force_login(MembershipFactory(role=Membership.Role.OPERATOR).user)
    run = RunFactory(snapshot__by_patient=by_patient, snapshot__of_nobody=of_nobody)
    page = client.get(f"/models/runs/{run.pk}/").content.decode()
    assert "No patient and no lesion that is named is in two splits" in page
    assert ("The lesion of 7 images is not named" in page) == bool(by_patient)
    assert ("Of 5 neither the patient nor the lesion is named" in page) == bool(of_nobody)
