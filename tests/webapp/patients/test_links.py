"""Result links: what opens them, what locks them, and that a stranger gets nothing."""

import io
import json
import logging
import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import CaseResultFactory, ImageFactory, MessageFactory
from tests.webapp.elsewhere import at_once
from webapp import storage
from webapp.accounts.services import correct_patient
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.erasure import erase_patient
from webapp.cases.models import Case
from webapp.errors import Problem
from webapp.notify.links import find_link, make_result_link, open_link
from webapp.notify.models import Message, ResultLink

BORN = date(1964, 3, 27)
RIGHT = {"day": "27", "month": "3", "year": "1964"}
WRONG = {"day": "28", "month": "3", "year": "1964"}

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_folder")]


@pytest.fixture
def case() -> Case:
    result = CaseResultFactory(
        case__patient__date_of_birth=BORN, case__released_at=timezone.now(), case__anatom_site="posterior torso"
    )
    made: Case = result.case
    return made


@pytest.fixture
def token(case: Case) -> str:
    return make_result_link(case=case)


def arrive(client: Client, token: str, case: Case | None = None) -> Any:
    response = client.get(f"/results/{token}/")
    assert response.status_code == 302
    assert response["Location"] == door(case)
    return client.get(response["Location"])


def door(case: Case | None = None) -> str:
    """Where the date of birth is asked for; of the only case, where none is named."""
    return f"/results/open/{(case or Case.objects.get()).pk}/"


def test_the_right_date_opens_one_case_to_this_session(client: Client, case: Case, token: str) -> None:
    assert arrive(client, token).status_code == 200
    response = client.post(door(), RIGHT)
    assert response["Location"] == f"/results/read/{case.pk}/"
    page = client.get(response["Location"])
    assert page.status_code == 200
    assert "See a doctor about this spot within 2 weeks." in page.content.decode()
    assert token not in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert Event.objects.filter(action="result.viewed", object_id=str(case.pk)).count() == 1


def test_before_the_date_is_given_nothing_of_the_result_is_shown(client: Client, case: Case, token: str) -> None:
    page = arrive(client, token).content.decode()
    for secret in ("melanoma", "doctor", "2 weeks", "Back", case.external_id, case.patient.email):
        assert secret not in page.replace("not a diagnosis", "")
    assert client.get(f"/results/read/{case.pk}/")["Location"] == door(case)


def test_a_strangers_session_gets_nothing(client: Client, case: Case, token: str) -> None:
    image = ImageFactory(case=case, ready=True)
    storage.write(image.clean_key, b"pixels")
    arrive(client, token)
    client.post(door(), RIGHT)
    assert client.get(f"/results/read/{case.pk}/photos/{image.pk}/").getvalue() == b"pixels"
    stranger = Client()
    closed = stranger.get(f"/results/read/{case.pk}/", follow=True)
    assert closed.status_code == 404
    assert "open the link in the e-mail again" in closed.content.decode()
    assert stranger.get(f"/results/read/{case.pk}/photos/{image.pk}/").status_code == 404
    assert stranger.post(door(case), RIGHT).status_code == 404
    other = CaseResultFactory(case__released_at=timezone.now()).case
    others_image = ImageFactory(case=other, ready=True)
    assert client.get(f"/results/read/{other.pk}/", follow=True).status_code == 404
    for path in (
        f"/results/read/{case.pk}/photos/{others_image.pk}/",
        f"/results/read/{other.pk}/photos/{others_image.pk}/",
    ):
        assert client.get(path).status_code == 404


def test_reading_ends_after_half_an_hour(client: Client, case: Case, token: str) -> None:
    arrive(client, token)
    client.post(door(), RIGHT)
    session = client.session
    session["results_opened"] = {str(case.pk): (timezone.now() - timedelta(seconds=1)).timestamp()}
    session.save()
    page = client.get(f"/results/read/{case.pk}/", follow=True)
    assert page.redirect_chain == [(door(case), 302)]
    assert "What is your date of birth?" in page.content.decode()


def test_a_link_that_was_taken_back_is_read_no_further(client: Client, case: Case, token: str) -> None:
    """The letter went to somebody else, who had opened it."""
    image = ImageFactory(case=case, ready=True)
    storage.write(image.clean_key, b"pixels")
    arrive(client, token)
    client.post(door(), RIGHT)
    photo = f"/results/read/{case.pk}/photos/{image.pk}/"
    assert client.get(photo).status_code == 200
    correct_patient(actor=SYSTEM, patient=case.patient, email="right@home.example", date_of_birth=BORN)
    assert client.get(f"/results/read/{case.pk}/", follow=True).status_code == 404
    assert client.get(photo).status_code == 404


def test_of_two_links_in_one_browser_each_opens_its_own_result(client: Client, case: Case, token: str) -> None:
    other = CaseResultFactory(
        case__patient__date_of_birth=date(1990, 1, 2), case__released_at=timezone.now(), case__anatom_site="palms/soles"
    ).case
    arrive(client, token, case)
    arrive(client, make_result_link(case=other), other)
    assert client.post(door(case), RIGHT)["Location"] == f"/results/read/{case.pk}/"
    assert client.post(door(other), RIGHT)["Location"] == door(other)
    born = {"day": "2", "month": "1", "year": "1990"}
    assert client.post(door(other), born)["Location"] == f"/results/read/{other.pk}/"
    assert "Your spot: Back" in client.get(f"/results/read/{case.pk}/").content.decode()
    assert "Palm of the hand" in client.get(f"/results/read/{other.pk}/").content.decode()


def test_five_wrong_dates_lock_the_link_even_for_the_right_one(client: Client, case: Case, token: str) -> None:
    arrive(client, token)
    for _ in range(4):
        assert "not the date of birth" in client.post(door(), WRONG, follow=True).content.decode()
    assert client.post(door(), WRONG, follow=True).status_code == 403
    page = client.post(door(), RIGHT)
    assert page.status_code == 403
    assert "locked" in page.content.decode()
    assert client.get(f"/results/read/{case.pk}/", follow=True).status_code == 403


def test_who_goes_back_after_a_wrong_date_sends_it_no_second_time(client: Client, case: Case, token: str) -> None:
    arrive(client, token)
    page = client.post(door(), WRONG, follow=True)
    assert page.redirect_chain == [(door(), 302)]
    told = "That is not the date of birth that we have. You can try 4 times. After that the link is locked."
    assert told in page.content.decode()
    again = client.get(door()).content.decode()
    assert "not the date of birth" not in again
    assert "You can try 4 times" in again


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({}, "Enter your date of birth."),
        ({"year": "1964"}, "the day and the month are missing"),
        ({"month": "3", "year": "1964"}, "the day is missing"),
        ({"day": "27", "month": "Smarch", "year": "1964"}, "Use numbers"),
        ({"day": "27", "month": "3", "year": "64"}, "four numbers"),
        ({"day": "30", "month": "2", "year": "1964"}, "no such date"),
        ({"day": "1", "month": "1", "year": "2999"}, "in the past"),
        ({"day": "²", "month": "1", "year": "1964"}, "Use numbers"),
    ],
)
def test_what_is_no_date_costs_no_try(client: Client, token: str, written: dict[str, str], sentence: str) -> None:
    arrive(client, token)
    page = client.post(door(), {"day": "", "month": "", "year": "", **written}).content.decode()
    assert re.search(rf'<li><a href="#id_day">[^<]*{re.escape(sentence)}', page)
    assert page.index("You can try 5 times.") < page.index("<fieldset")
    assert ResultLink.objects.get().tries_left == 5


def test_a_right_date_gives_the_tries_back(case: Case, token: str) -> None:
    link = find_link(token)
    assert link is not None
    for _ in range(4):
        assert not open_link(link=link, date_of_birth=date(2000, 1, 1))
    for _ in range(7):
        assert open_link(link=link, date_of_birth=BORN)


def test_the_month_may_be_a_word(client: Client, case: Case, token: str) -> None:
    arrive(client, token)
    assert client.post(door(), {"day": "27", "month": "March", "year": "1964"}).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_many_guesses_at_once_get_five_tries_together(case: Case, token: str) -> None:
    link = find_link(token)
    assert link is not None

    def guess(number: int) -> str:
        try:
            open_link(link=ResultLink.objects.get(pk=link.pk), date_of_birth=date(1900 + number, 1, 1))
        except Problem as problem:
            return problem.code
        return "tried"

    answers = at_once(guess, range(40), threads=12)
    assert answers.count("tried") == 5
    assert answers.count("link_locked") == 35


def test_an_expired_link_offers_a_new_one_to_the_same_address_and_not_too_often(
    client: Client, case: Case, token: str
) -> None:
    renewal = f"/results/renew/{case.pk}/"
    message = MessageFactory(case=case, state=Message.State.SENT, sent_at=timezone.now())
    ResultLink.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert client.post(renewal).status_code == 404  # nobody has followed a link
    page = arrive(client, token)
    assert page.status_code == 410
    assert "Send me a new link" in page.content.decode()
    assert client.post(door(), RIGHT).status_code == 410
    assert "a short time ago" in client.post(renewal, follow=True).content.decode()
    Message.objects.update(send_after=timezone.now() - timedelta(hours=2))
    assert "on its way" in client.post(renewal).content.decode()
    message.refresh_from_db()
    assert (message.state, message.renewals, message.recipient) == ("pending", 1, case.patient.email)
    waiting = client.post(renewal, follow=True).content.decode()
    assert "one is on its way or was sent a short time ago" in waiting
    assert "We sent you" not in waiting  # the mail server may be away


@pytest.mark.parametrize("token", ["x", "A" * 43, "open-sesame", "%00", "' OR 1=1 --"])
def test_a_link_that_never_was(client: Client, token: str) -> None:
    page = client.get(f"/results/{token}/", follow=True)
    assert page.status_code == 404
    assert page.request["PATH_INFO"] == "/results/unknown/"


def test_whose_result_was_erased_is_told_that_it_may_be_and_whom_to_ask(client: Client, case: Case, token: str) -> None:
    arrive(client, token)
    erase_patient(actor=SYSTEM, patient=case.patient)
    for address in (f"/results/{token}/", door(case), f"/results/read/{case.pk}/"):
        page = client.get(address, follow=True)
        assert page.status_code == 404
        assert "your clinic may have deleted the result" in page.content.decode()
        assert "Your clinic can tell you more" in page.content.decode()


def test_a_result_that_is_not_released_is_not_read(client: Client, case: Case, token: str) -> None:
    Case.objects.update(released_at=None)
    assert client.get(f"/results/{token}/", follow=True).status_code == 404


def test_no_token_reaches_a_log(
    client: Client, case: Case, token: str, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    arrive(client, token)
    client.post(door(), RIGHT)
    ResultLink.objects.update(expires_at=timezone.now() - timedelta(days=1))
    arrive(client, token)
    client.post(f"/results/{token}/")
    for path in (f"/results/{token}", f"/results/{token}/more/"):
        client.get(path)
    logging.getLogger("django.server").info('"%s" %s %s', f"GET /results/{token}/ HTTP/1.1", "302", "0")
    told = "\n".join(json.loads(line)["event"] for line in log.getvalue().splitlines())
    assert "Not Found: /results/…/more/" in told
    assert "GET /results/…/ HTTP/1.1" in told
    assert token not in log.getvalue() + "".join(capfd.readouterr())


def test_the_token_is_not_kept(token: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", ResultLink.objects.get().token_sha256)
    assert token not in str(ResultLink.objects.values().get())
