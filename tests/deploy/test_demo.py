"""The demo leaves what others do on the same site alone."""

import pytest

from deploy.local.clinic import Photo
from deploy.local.demo import label
from tests.factories import BatchFactory, CaseFactory, ImageFactory, MembershipFactory, OrganisationFactory
from webapp.labels.models import CANNOT_TELL, Consensus, Label

pytestmark = pytest.mark.django_db


def test_only_the_pictures_of_its_own_batch_are_labelled() -> None:
    clinic = OrganisationFactory()
    for number in (1, 2):
        MembershipFactory(organisation=clinic, user__email=f"annotator{number}@demo.example")
    others, own = (BatchFactory(organisation=clinic, submitted=True) for _ in range(2))
    for batch in (others, own):
        for name in ("known", "unknown"):
            ImageFactory(case=CaseFactory(batch=batch, external_id=name), ready=True)
    photo = Photo(case_id="known", patient_id="p", filename="a.jpg", data=b"", dx="MEL")

    label([photo], batch_id=str(own.pk))
    label([photo], batch_id=str(own.pk))  # nobody is asked about a picture twice

    assert set(Label.objects.values_list("image__batch", flat=True)) == {own.pk}
    found = Consensus.objects.values_list("image__case__external_id", "dx")
    assert dict(found) == {"known": "MEL", "unknown": CANNOT_TELL}
