"""The annotator's pages: blind, scoped to their organisation, and usable without JavaScript."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import (
    CaseFactory,
    ImageFactory,
    LabelFactory,
    MembershipFactory,
    OrganisationFactory,
    ResultFactory,
    UserFactory,
)
from webapp.accounts.consent import choose_training
from webapp.accounts.models import Membership
from webapp.audit.services import SYSTEM
from webapp.cases.models import Image
from webapp.labels.models import Assignment, Consensus, Label

pytestmark = pytest.mark.django_db
QUEUE = "/labels/"


@pytest.fixture
def annotator(client: Client) -> Membership:
    member: Membership = MembershipFactory(role="annotator")
    client.force_login(member.user)
    return member


def image_for(member: Membership, **fields: object) -> Image:
    case = CaseFactory(batch__organisation=member.organisation, age=61, sex="female", anatom_site="left calf")
    return ImageFactory(case=case, ready=True, filename="melanoma-of-mrs-smith.jpg", **fields)


def answer(client: Client, image: Image, dx: str = "MEL") -> str:
    response = client.post(reverse("labels:answer", args=[image.pk]), {"dx": dx, "confidence": 3}, follow=True)
    return response.content.decode()


def test_the_page_shows_the_image_and_its_facts_and_no_answer(client: Client, annotator: Membership) -> None:
    image = image_for(annotator)
    ResultFactory(job__image=image, top_class="MEL")
    page = client.get(QUEUE).content.decode()
    assert reverse("cases:image_file", args=[image.pk, "clean"]) in page
    for fact in ("61", "Female", "left calf", "Dermoscopic"):
        assert fact in page
    for secret in ("heatmap", "melanoma-of", "0.74", "Model:", image.case.external_id):
        assert secret not in page
    assert page.count('name="dx"') == 9


def test_an_answer_leads_to_the_next_image_and_to_ones_last_answer(client: Client, annotator: Membership) -> None:
    image_for(annotator), image_for(annotator)
    client.get(QUEUE)
    first = Assignment.objects.get().image
    second = Image.objects.exclude(pk=first.pk).get()
    page = answer(client, first)
    label = Label.objects.get()
    assert (label.image, label.dx, label.confidence, label.annotator) == (first, "MEL", 3, annotator.user)
    assert reverse("labels:answer", args=[second.pk]) in page
    assert "Your last answer" in page
    assert "<strong>1</strong> done today, <strong>1</strong> left for you" in page


def test_the_models_answer_is_shown_when_asked_for_and_ends_the_undo(client: Client, annotator: Membership) -> None:
    image = image_for(annotator)
    ResultFactory(job__image=image, top_class="NV")
    client.get(QUEUE)
    page = answer(client, image)
    assert "Model:" not in page
    label = Label.objects.get()
    page = client.post(reverse("labels:compare", args=[label.pk]), follow=True).content.decode()
    assert "Model: <strong>Melanocytic naevus" in page
    assert "Differs" in page
    client.post(reverse("labels:undo", args=[label.pk]))
    assert Label.objects.exists()


def test_undo_shows_the_image_again_and_pressing_it_twice_is_harmless(client: Client, annotator: Membership) -> None:
    image = image_for(annotator)
    client.get(QUEUE)
    answer(client, image)
    address = reverse("labels:undo", args=[Label.objects.get().pk])
    assert reverse("labels:answer", args=[image.pk]) in client.post(address, follow=True).content.decode()
    assert client.post(address).status_code == 302
    assert not Label.objects.exists()


def test_an_incomplete_answer_is_asked_for_again(client: Client, annotator: Membership) -> None:
    image = image_for(annotator)
    client.get(QUEUE)
    response = client.post(reverse("labels:answer", args=[image.pk]), {"confidence": 1, "note": "blurred edge"})
    assert response.status_code == 422
    assert "Choose one of the nine answers." in response.content.decode()
    assert "blurred edge" in response.content.decode()


def test_an_empty_queue_says_so(client: Client, annotator: Membership) -> None:
    assert "Nothing is waiting for you" in client.get(QUEUE).content.decode()


@pytest.mark.parametrize("name", ["labels:queue", "labels:mine"])
def test_who_labels_alone_reads_that_nothing_settles_until_another_does(
    client: Client, annotator: Membership, name: str
) -> None:
    alone = "You are the only annotator of your organisation."
    MembershipFactory(role="annotator")
    MembershipFactory(role="annotator", organisation=annotator.organisation, user__is_active=False)
    MembershipFactory(organisation=annotator.organisation)
    assert alone in client.get(reverse(name)).content.decode()

    MembershipFactory(role="annotator", organisation=annotator.organisation)
    assert alone not in client.get(reverse(name)).content.decode()


def test_a_settled_image_is_explained_and_skipped(client: Client, annotator: Membership) -> None:
    image = image_for(annotator)
    client.get(QUEUE)
    for _ in range(2):
        Label.objects.create(image=image, annotator=UserFactory(), dx="NV", confidence=2)
    Label.objects.create(image=image, annotator=UserFactory(), dx="MEL", confidence=2)
    assert "Others have settled this image" in answer(client, image)


def test_nobody_answers_for_another_organisation(client: Client, annotator: Membership) -> None:
    stranger = MembershipFactory(role="annotator")
    image = image_for(stranger)
    assert client.post(reverse("labels:answer", args=[image.pk]), {"dx": "MEL", "confidence": 2}).status_code == 404
    label = Label.objects.create(image=image, annotator=stranger.user, dx="NV", confidence=2)
    assert client.post(reverse("labels:compare", args=[label.pk])).status_code == 404
    client.post(reverse("labels:undo", args=[label.pk]))
    assert Label.objects.filter(pk=label.pk, compared_at=None).exists()


@pytest.mark.parametrize("role", ["provider", "operator", "patient"])
@pytest.mark.parametrize("name", ["labels:queue", "labels:mine", "labels:disagreements"])
def test_only_annotators_enter(client: Client, role: str, name: str) -> None:
    client.force_login(UserFactory() if role == "patient" else MembershipFactory(role=role).user)
    assert client.get(reverse(name)).status_code == 403
    assert not Assignment.objects.exists()


def test_ones_own_answers_are_listed_and_filtered(client: Client, annotator: Membership) -> None:
    first, second = image_for(annotator), image_for(annotator)
    for image, dx in ((first, "MEL"), (second, "cannot_tell")):
        Label.objects.create(image=image, annotator=annotator.user, dx=dx, confidence=2)
    Label.objects.create(image=first, annotator=UserFactory(), dx="VASC", confidence=2)
    everything = client.get(reverse("labels:mine")).content.decode()
    assert everything.count("<tr>") == 3
    assert everything.count("shown once it is settled") == 2
    assert 'id="found"' not in everything
    filtered = client.get(reverse("labels:mine"), {"dx": "MEL"}).content.decode()
    assert filtered.count("<tr>") == 2
    assert 'id="found" tabindex="-1">1 answer found<' in filtered
    nothing = client.get(reverse("labels:mine"), {"model": "differs"}).content.decode().partition('id="found"')[2]
    assert "No answer is like that" in nothing
    assert f'href="{reverse("labels:mine")}">Show all' in nothing


def test_an_earlier_answer_is_changed_from_the_list_of_ones_own(client: Client, annotator: Membership) -> None:
    mistaken, settled, compared, _ = (image_for(annotator) for _ in range(4))
    for image in (mistaken, settled, compared):
        LabelFactory(image=image, annotator=annotator.user, dx="MEL")
    LabelFactory(image=settled, dx="NV")
    client.post(reverse("labels:compare", args=[Label.objects.get(image=compared).pk]))
    client.get(QUEUE)  # another image is on the screen

    page = client.get(reverse("labels:mine")).content.decode()
    label = Label.objects.get(image=mistaken)
    assert re.findall(r"/labels/(\d+)/undo/", page) == [str(label.pk)]

    page = client.post(reverse("labels:undo", args=[label.pk]), follow=True).content.decode()
    assert "Your answer (Melanoma, high confidence) was taken back. Here is the image again." in page
    assert reverse("labels:answer", args=[mistaken.pk]) in page
    answer(client, mistaken, "NV")
    assert Label.objects.get(image=mistaken, annotator=annotator.user).dx == "NV"


def test_an_answer_about_a_photo_that_may_not_be_used_any_more_stays(client: Client, annotator: Membership) -> None:
    label = LabelFactory(image=image_for(annotator), annotator=annotator.user, dx="MEL")
    ResultFactory(job__image=label.image, top_class="NV")
    choose_training(actor=SYSTEM, patient=label.image.case.patient, agreed=False)
    assert "/undo/" not in client.get(reverse("labels:mine")).content.decode()
    queue = client.get(QUEUE).content.decode()
    assert "/undo/" not in queue
    assert "Model:" not in queue  # it can be changed again once the patient agrees again
    told = client.post(reverse("labels:undo", args=[label.pk]), follow=True).content.decode()
    assert "its photo may not be used any more" in told
    assert Label.objects.filter(pk=label.pk).exists()


def test_disagreements_are_listed_for_the_organisation_alone(client: Client, annotator: Membership) -> None:
    for member in (annotator, MembershipFactory(role="annotator")):
        image = image_for(member)
        for dx in ("MEL", "NV", "BKL"):
            Label.objects.create(image=image, annotator=UserFactory(), dx=dx, confidence=2, note=f"{member.pk} says")
    page = client.get(reverse("labels:disagreements")).content.decode()
    assert page.count("<article") == 1
    assert page.count(f"{annotator.pk} says") == 3


def test_a_disagreement_is_settled_once_and_by_its_own_organisation(client: Client, annotator: Membership) -> None:
    stranger = MembershipFactory(role="annotator")
    ours, theirs = image_for(annotator), image_for(stranger)
    for image in (ours, theirs):
        for dx in ("MEL", "NV", "BKL"):
            LabelFactory(image=image, dx=dx)

    def settle(image: Image, dx: str) -> Any:
        return client.post(reverse("labels:settle", args=[image.pk]), {"dx": dx}, follow=True)

    assert settle(theirs, "NV").status_code == 404
    for nonsense in ("", "SCC"):
        assert "Choose one of the nine answers" in settle(ours, nonsense).content.decode()
    page = settle(ours, "NV").content.decode()
    assert "The disagreement is settled" in page
    assert "No disagreements" in page
    consensus = Consensus.objects.get()
    assert (consensus.image, consensus.dx, consensus.settled_by) == (ours, "NV", annotator.user)
    assert set(ours.labels.values_list("dx", "state")) == {
        ("NV", "accepted"),
        ("MEL", "superseded"),
        ("BKL", "superseded"),
    }
    assert "Somebody settled this image meanwhile" in settle(ours, "MEL").content.decode()
    assert Consensus.objects.get().dx == "NV"


def test_two_answers_are_no_disagreement_while_another_can_be_asked(client: Client, annotator: Membership) -> None:
    image = image_for(annotator)
    for dx in ("MEL", "NV"):
        LabelFactory(image=image, dx=dx)
    page = client.post(reverse("labels:settle", args=[image.pk]), {"dx": "NV"}, follow=True).content.decode()
    assert "No disagreements" in page
    assert not Consensus.objects.exists()


def test_two_annotators_who_disagree_settle_it_where_there_is_no_third(client: Client, annotator: Membership) -> None:
    image = image_for(annotator)
    second = MembershipFactory(organisation=annotator.organisation, role="annotator")
    MembershipFactory(organisation=annotator.organisation, role="provider")
    MembershipFactory(organisation=annotator.organisation, role="annotator", user__is_active=False)
    MembershipFactory(role="annotator")
    for member, dx in ((annotator, "MEL"), (second, "NV")):
        LabelFactory(image=image, annotator=member.user, dx=dx)
    assert client.get(reverse("labels:disagreements")).content.decode().count("<article") == 1
    page = client.post(reverse("labels:settle", args=[image.pk]), {"dx": "NV"}, follow=True).content.decode()
    assert "The disagreement is settled" in page
    assert (Consensus.objects.get().image, Consensus.objects.get().settled_by) == (image, annotator.user)


def test_who_goes_to_another_organisation_takes_no_image_along(client: Client, annotator: Membership) -> None:
    said, shown = image_for(annotator), image_for(annotator)
    ResultFactory(job__image=said, top_class="NV")
    label = LabelFactory(image=said, annotator=annotator.user, dx="MEL", note="left behind")
    client.get(QUEUE)
    assert Assignment.objects.get().image == shown
    elsewhere = OrganisationFactory()
    Membership.objects.filter(pk=annotator.pk).update(organisation=elsewhere)
    for address in (QUEUE, reverse("labels:mine")):
        page = client.get(address).content.decode()
        for secret in ("left calf", "left behind", "Your last answer", str(shown.pk), str(said.pk)):
            assert secret not in page
    assert client.post(reverse("labels:compare", args=[label.pk])).status_code == 404
    client.post(reverse("labels:undo", args=[label.pk]))
    assert Label.objects.filter(pk=label.pk, compared_at=None).exists()
    ours = ImageFactory(case=CaseFactory(batch__organisation=elsewhere), ready=True)
    assert reverse("labels:answer", args=[ours.pk]) in client.get(QUEUE).content.decode()
