"""What pages say of a picture that came for two cases, and the button that says whose it is."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import MembershipFactory, ReleaseFactory
from tests.webapp.cases.same_picture import automatic, check, now, submitted, two_cases
from tests.webapp.inference.scenes import answer_all
from tests.webapp.reports.scenes import jpeg
from webapp import storage
from webapp.inference.models import Job

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_page_of_a_released_case_says_that_another_came_with_its_picture(client: Client) -> None:
    left, right = two_cases(**automatic())
    submitted(left, right)
    answer_all(ReleaseFactory(active=True))
    check(right)
    for image in (left, right):
        storage.write(now(image).clean_key, jpeg())
    client.force_login(MembershipFactory(organisation=left.organisation).user)
    left_page, right_page, batch_page = (
        client.get(reverse(name, args=[pk])).content.decode()
        for name, pk in (("cases:case", left.case_id), ("cases:case", right.case_id), ("cases:batch", left.batch_id))
    )
    assert "Case B of this batch came with this picture, too." in left_page
    assert "Used against the advice" not in left_page
    assert "It is of this case" not in right_page + batch_page  # it could only be refused


def test_the_page_offers_to_say_whose_it_is(client: Client) -> None:
    left, right = two_cases()
    check(left, right)
    for image in (left, right):
        storage.write(now(image).clean_key, b"pixels")
    client.force_login(MembershipFactory(organisation=left.organisation).user)
    page = client.get(reverse("cases:batch", args=[left.batch_id])).content.decode()
    assert page.count("It is of this case") == 2
    client.post(reverse("cases:image_override", args=[left.pk]))
    case_page = client.get(reverse("cases:case", args=[left.case_id])).content.decode()
    assert "Case B of this batch came with this picture, too." in case_page
    assert "Said to be of this case by" in case_page
    assert "Used against the advice" not in case_page
    assert Job.objects.count() == 0
