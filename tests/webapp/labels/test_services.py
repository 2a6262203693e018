"""Who is asked about which image, and what follows from the answers."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.factories import (
    CaseFactory,
    ImageFactory,
    JobFactory,
    MembershipFactory,
    OrganisationFactory,
    ReleaseFactory,
    ResultFactory,
)
from webapp.accounts.models import Organisation, User
from webapp.audit.models import Event
from webapp.audit.services import Actor
from webapp.cases.models import Image
from webapp.errors import Problem
from webapp.labels.models import CANNOT_TELL, Assignment, Consensus, Label
from webapp.labels.selectors import disagreements, last_given, left_in_queue
from webapp.labels.services import compare, next_image, submit_label, undo

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic() -> Organisation:
    return OrganisationFactory()


@pytest.fixture
def people(clinic: Organisation) -> list[User]:
    return [MembershipFactory(organisation=clinic, role="annotator").user for _ in range(4)]


def image_of(clinic: Organisation, **fields: object) -> Image:
    """An image that chance did not draw."""
    case = CaseFactory(batch__organisation=clinic)
    return ImageFactory(**{"case": case, "ready": True, "id": uuid.UUID(int=uuid.uuid4().int | 1 << 127), **fields})


def shown(user: User) -> Image | None:
    return next_image(actor=Actor(user=user), annotator=user)


def say(user: User, image: Image, dx: str, confidence: int = 2, note: str = "") -> Label:
    return submit_label(actor=Actor(user=user), annotator=user, image=image, dx=dx, confidence=confidence, note=note)


def answer(user: User, dx: str) -> Label:
    image = shown(user)
    assert image is not None
    return say(user, image, dx)


def test_two_who_agree_settle_an_image(clinic: Organisation, people: list[User]) -> None:
    image = image_of(clinic)
    result = ResultFactory(job__image=image, top_class="NV")
    answer(people[0], "MEL")
    label = answer(people[1], "MEL")
    consensus = Consensus.objects.get()
    assert (consensus.image, consensus.dx, consensus.result, consensus.differs) == (image, "MEL", result, True)
    assert label.state == Label.State.ACCEPTED
    assert set(Label.objects.values_list("state", flat=True)) == {"accepted"}
    assert shown(people[2]) is None


def test_an_agreement_wakes_nobody(
    clinic: Organisation, people: list[User], django_capture_on_commit_callbacks: Any
) -> None:
    """It is the sweep that starts a retraining, once there are enough of them."""
    image_of(clinic)
    answer(people[0], "MEL")
    with django_capture_on_commit_callbacks() as rung:
        answer(people[1], "MEL")
    assert Consensus.objects.exists()
    assert rung == []


def test_a_third_settles_a_disagreement(clinic: Organisation, people: list[User]) -> None:
    image_of(clinic)
    first, second = answer(people[0], "MEL"), answer(people[1], "NV")
    assert not Consensus.objects.exists()
    answer(people[2], "NV")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("superseded", "accepted")
    assert Consensus.objects.get().dx == "NV"
    assert not Consensus.objects.get().differs  # there was no prediction


def test_three_answers_of_which_none_agree_are_listed_and_settle_nothing(
    clinic: Organisation, people: list[User]
) -> None:
    image = image_of(clinic)
    for user, dx in zip(people, ("MEL", "NV", "BKL"), strict=False):
        answer(user, dx)
    assert not Consensus.objects.exists()
    assert list(disagreements(clinic)) == [image]
    assert list(disagreements(OrganisationFactory())) == []
    assert shown(people[3]) is None


def test_cannot_tell_is_an_agreement_that_differs_from_no_model(clinic: Organisation, people: list[User]) -> None:
    image = image_of(clinic)
    ResultFactory(job__image=image)
    answer(people[0], CANNOT_TELL)
    answer(people[1], CANNOT_TELL)
    assert (Consensus.objects.get().dx, Consensus.objects.get().differs) == (CANNOT_TELL, False)


def test_an_image_stays_on_the_screen_until_it_is_answered(clinic: Organisation, people: list[User]) -> None:
    image_of(clinic)
    image_of(clinic)
    assert shown(people[0]) == shown(people[0])
    assert Assignment.objects.count() == 1
    assert Event.objects.filter(action="image.shown").count() == 1


def test_nobody_sees_another_organisations_images(people: list[User]) -> None:
    image_of(OrganisationFactory())
    assert shown(people[0]) is None


@pytest.mark.parametrize("traits", [{}, {"stored": True}])
def test_only_images_that_are_fit_are_shown(clinic: Organisation, people: list[User], traits: dict[str, bool]) -> None:
    ImageFactory(case=CaseFactory(batch__organisation=clinic), **traits)
    assert shown(people[0]) is None


def test_no_more_are_asked_than_answers_are_needed(clinic: Organisation, people: list[User]) -> None:
    image = image_of(clinic)
    assert [shown(user) for user in people[:3]] == [image, image, None]
    say(people[0], image, "MEL")
    assert shown(people[2]) is None
    say(people[1], image, "NV")  # now a third is needed, and no fourth
    assert [shown(user) for user in people] == [None, None, image, None]


def test_the_same_bytes_are_not_asked_twice(clinic: Organisation, people: list[User]) -> None:
    image_of(clinic, sha256="a" * 64)
    image_of(clinic, sha256="a" * 64)
    answer(people[0], "NV")
    assert shown(people[0]) is None
    assert left_in_queue(organisation=clinic, annotator=people[0]) == 0
    assert left_in_queue(organisation=clinic, annotator=people[1]) == 2


def test_disagreements_come_first_then_doubt_then_the_oldest(clinic: Organisation, people: list[User]) -> None:
    unseen_old, unseen_new, sure, near, torn = (image_of(clinic) for _ in range(5))
    release = ReleaseFactory()  # refers at 0.5 and 0.1
    for image, malignant, uncertainty in ((sure, 0.95, 0.01), (near, 0.48, 0.02), (torn, 0.7, 0.3)):
        ResultFactory(
            job=JobFactory(image=image, succeeded=True), release=release, malignant=malignant, uncertainty=uncertainty
        )
    for user, dx in zip(people, ("MEL", "NV"), strict=False):
        Assignment.objects.create(image=unseen_new, annotator=user, expires_at=timezone.now() + timedelta(hours=1))
        say(user, unseen_new, dx)
    order = []
    for _ in range(5):
        given = answer(people[2], "BKL")
        order.append(given.image)
    assert order == [unseen_new, torn, near, sure, unseen_old]


def test_one_image_in_four_is_drawn_by_chance_whatever_the_model_thinks(
    clinic: Organisation, people: list[User]
) -> None:
    release = ReleaseFactory()  # refers at 0.5 and 0.1
    doubtful = [image_of(clinic) for _ in range(7)]
    by_chance = [image_of(clinic, id=uuid.UUID(int=place << 120)) for place in (9, 3, 6)]
    for image in (*doubtful, *by_chance):
        malignant = 0.5 if image in doubtful else 0.99
        ResultFactory(job=JobFactory(image=image, succeeded=True), release=release, malignant=malignant)
    for user in people[:2]:
        asked = [answer(user, "NV").image for _ in range(10)]
        assert [asked.index(image) for image in by_chance] == [8, 0, 4]  # by their random ids
    assert set(Consensus.objects.filter(drawn=True).values_list("image", flat=True)) == {one.pk for one in by_chance}


def test_an_image_left_lying_goes_to_another(clinic: Organisation, people: list[User]) -> None:
    image = image_of(clinic)
    assert [shown(user) for user in people[:3]] == [image, image, None]
    Assignment.objects.filter(annotator=people[0]).update(expires_at=timezone.now())
    assert shown(people[2]) == image
    say(people[0], image, "NV")  # late, and still welcome
    say(people[1], image, "NV")
    with pytest.raises(Problem) as caught:
        say(people[2], image, "MEL")
    assert caught.value.code == "image_settled"
    assert Label.objects.count() == 2


def test_answering_twice_changes_nothing(clinic: Organisation, people: list[User]) -> None:
    image = image_of(clinic)
    label = answer(people[0], "MEL")
    assert say(people[0], image, "NV") == label
    assert Label.objects.get().dx == "MEL"


def test_an_image_that_was_not_shown_cannot_be_answered(clinic: Organisation, people: list[User]) -> None:
    image = image_of(clinic)
    with pytest.raises(Problem) as caught:
        say(people[0], image, "MEL")
    assert caught.value.code == "not_assigned"


def test_the_last_answer_can_be_taken_back(clinic: Organisation, people: list[User]) -> None:
    image = image_of(clinic)
    image_of(clinic)
    label = answer(people[0], "MEL")
    shown(people[0])
    undo(actor=Actor(user=people[0]), label=label)
    assert shown(people[0]) == image
    assert not Label.objects.exists()


def test_an_answer_that_settled_something_stays(clinic: Organisation, people: list[User]) -> None:
    image_of(clinic)
    answer(people[0], "MEL")
    label = answer(people[1], "MEL")
    with pytest.raises(Problem):
        undo(actor=Actor(user=people[1]), label=label)


@pytest.mark.parametrize("there", [2, 4])
def test_an_answer_stays_once_another_has_answered_otherwise(
    there: int, clinic: Organisation, people: list[User]
) -> None:
    """Where nobody is left to ask, each may read what the other said; where somebody is, an undo would tell it."""
    clinic.memberships.exclude(user__in=people[:there]).delete()
    image_of(clinic)
    labels = [answer(people[0], "MEL"), answer(people[1], "NV")]
    for label in labels:
        given = last_given(label.annotator)
        assert given is not None
        assert not given.can_undo
        with pytest.raises(Problem) as caught:
            undo(actor=Actor(user=label.annotator), label=label)
        assert caught.value.code == "cannot_undo"


def test_an_earlier_answer_can_be_changed_and_the_image_on_the_screen_comes_after(
    clinic: Organisation, people: list[User]
) -> None:
    for _ in range(3):
        image_of(clinic)
    mistaken, _ = answer(people[0], "MEL"), answer(people[0], "NV")
    on_screen = shown(people[0])
    undo(actor=Actor(user=people[0]), label=mistaken)
    assert answer(people[0], "BKL").image == mistaken.image
    assert shown(people[0]) == on_screen
    assert sorted(Label.objects.values_list("dx", flat=True)) == ["BKL", "NV"]


def test_the_models_answer_is_hidden_until_ones_own_is_final(clinic: Organisation, people: list[User]) -> None:
    image = image_of(clinic)
    result = ResultFactory(job__image=image, top_class="NV")
    label = answer(people[0], "MEL")
    given = last_given(people[0])
    assert given is not None
    assert given.can_undo
    assert given.result is None
    compare(actor=Actor(user=label.annotator), label=label)
    given = last_given(people[0])
    assert given is not None
    assert given.result == result
    assert given.differs
    with pytest.raises(Problem):
        undo(actor=Actor(user=people[0]), label=label)


def test_what_was_labelled_is_audited_without_the_finding(clinic: Organisation, people: list[User]) -> None:
    image = image_of(clinic)
    answer(people[0], "MEL")
    event = Event.objects.get(action="label.submitted")
    assert (event.object_id, event.user, event.organisation, event.detail) == (str(image.pk), people[0], clinic, "")
