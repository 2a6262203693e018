"""The outbox against a real mail server on loopback: one that accepts, refuses, is slow, is away, and dies."""

import asyncio
import email
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from email.message import Message as Email
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from ml.advice import Advice
from ml.classes import CLASSES, DISPLAY_NAMES
from tests.factories import BatchFactory, CaseResultFactory, MessageFactory, OrganisationFactory, PatientFactory
from tests.workers.waiting import wait_for
from webapp.audit.services import SYSTEM
from webapp.cases.review import release_case
from webapp.notify.delivery import ATTEMPTS, UNKNOWN, claim_message, mark_sent, send_again, sweep_messages
from webapp.notify.models import Message
from webapp.patients.words import ADVICE_WORDS
from workers.delivery import deliver

pytestmark = pytest.mark.django_db(transaction=True)
State = Message.State


class Mailbox:
    """A mail server's handler: takes every message, unless the test says otherwise."""

    def __init__(self) -> None:
        self.letters: list[Email] = []
        self.answers: list[str] = []  # given in turn in place of acceptance
        self.seconds = 0.0  # before the answer
        self.dies = False  # takes the message and never answers

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _: list[str]
    ) -> str:
        if self.answers:
            return self.answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.letters.append(email.message_from_bytes(envelope.content))
        await asyncio.sleep(self.seconds)
        if self.dies:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return "250 OK"


@pytest.fixture
def mailbox(settings: Settings) -> Iterator[Mailbox]:
    """A running mail server that the site sends through."""
    handler = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(handler, hostname="127.0.0.1", port=port)
    server.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", port, 5
    yield handler
    server.stop()


def due_now(message: Message) -> None:
    Message.objects.filter(pk=message.pk).update(send_after=timezone.now() - timedelta(seconds=1))


def texts(letter: Email) -> str:
    parts = [part.get_payload(decode=True) for part in letter.walk() if not part.is_multipart()]
    return "\n".join(part.decode() for part in parts if isinstance(part, bytes))


def test_a_message_goes_out_once_however_often_the_worker_is_woken(mailbox: Mailbox) -> None:
    message = MessageFactory()
    for _ in range(3):
        deliver()
    message.refresh_from_db()
    assert message.state == State.SENT
    assert [letter["To"] for letter in mailbox.letters] == [message.recipient]
    assert mailbox.letters[0]["Message-ID"] == f"<{message.pk}.0.result_ready@127.0.0.1>"


def test_no_letter_holds_a_finding_or_a_name(mailbox: Mailbox) -> None:
    clinic = OrganisationFactory(name="Harbour Clinic")  # without a number, which could be the one of a finding
    patient = PatientFactory(external_id="Doe-John-7", email="reader@home.example", organisation=clinic)
    result = CaseResultFactory(
        case__patient=patient, case__batch__organisation=clinic, case__external_id="LEFT-ARM-MOLE",
        case__anatom_site="upper extremity", case__notes="it itches",
    )  # fmt: skip
    release_case(actor=SYSTEM, case=result.case, note="Please come in, I do not like this one.")
    MessageFactory(case=result.case, kind=Message.Kind.IMAGE_UNUSABLE)
    batch = BatchFactory(organisation=clinic, name="Smith family", completed=True)
    MessageFactory(case=None, batch=batch, recipient="desk@clinic.example", kind=Message.Kind.BATCH_COMPLETED)
    deliver()
    assert len(mailbox.letters) == 3
    forbidden = [
        *(rf"\b{code}\b" for code in CLASSES), *DISPLAY_NAMES.values(), "cancer", "melanoma", "malignan", "benign",
        "urgent", "refer", "doctor", "lesion(?!lens)", "mole", *Advice,
        *(words.answer.partition("{")[0] for words in ADVICE_WORDS.values()), "Doe", "John",
        "LEFT-ARM", "upper", "arm", "itch", "do not like", "Smith", "0[.]74", "74",
        str(patient.date_of_birth), str(patient.date_of_birth.year),
    ]  # fmt: skip
    for letter in mailbox.letters:
        words = re.sub(r"https?://\S+|style=\"[^\"]*\"", "", texts(letter)) + letter["Subject"]
        for pattern in forbidden:
            assert not re.search(pattern, words, re.IGNORECASE), (pattern, words)
        assert letter.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize("answer", ["450 4.2.0 Greylisted", "451 4.3.0 Try later", "421 4.3.2 Busy"])
def test_a_refusal_for_now_is_tried_again_later(mailbox: Mailbox, answer: str) -> None:
    message = MessageFactory()
    mailbox.answers = [answer]
    deliver()
    message.refresh_from_db()
    assert (message.state, message.attempt) == (State.PENDING, 1)
    assert 10 < (message.send_after - timezone.now()).total_seconds() <= 30
    deliver()  # not yet
    assert mailbox.letters == []
    due_now(message)
    deliver()
    message.refresh_from_db()
    assert (message.state, message.error, len(mailbox.letters)) == (State.SENT, "", 1)


def test_a_refusal_for_good_fails_at_once(mailbox: Mailbox) -> None:
    message = MessageFactory()
    mailbox.answers = ["550 5.1.1 No such person"]
    deliver()
    message.refresh_from_db()
    assert message.state == State.FAILED
    assert "550" in message.error
    assert message.recipient not in message.error


def test_a_server_that_is_away_costs_attempts_with_longer_pauses_and_then_fails(
    mailbox: Mailbox, settings: Settings
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: it refuses
        settings.EMAIL_PORT = closed.getsockname()[1]
        message = MessageFactory()
        for attempt in range(1, ATTEMPTS + 1):
            message.refresh_from_db()
            assert (message.state, message.attempt) == (State.PENDING, attempt - 1)
            due_now(message)
            deliver()
    message.refresh_from_db()
    assert message.state == State.FAILED
    assert "could not be reached" in message.error


def test_a_server_that_hangs_takes_one_process_and_one_attempt(settings: Settings) -> None:
    MessageFactory.create_batch(3)
    with socket.create_server(("127.0.0.1", 0)) as server:  # it takes connections and never says a word
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.getsockname()
        settings.EMAIL_TIMEOUT = 5
        worker = _delivering_process()
        try:
            held, _ = server.accept()
            deliver()  # somebody sends
            assert list(Message.objects.order_by("attempt").values_list("attempt", flat=True)) == [0, 0, 1]
        finally:
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
        held.close()
        Message.objects.filter(attempt=1).delete()
        settings.EMAIL_TIMEOUT = 0.3
        wait_for(lambda: bool(deliver() or Message.objects.filter(attempt=1)))  # Postgres misses the dead in a moment
    assert list(Message.objects.order_by("attempt").values_list("attempt", "state")) == [(0, "pending"), (1, "pending")]


def test_one_bad_address_does_not_hold_up_the_others(mailbox: Mailbox) -> None:
    MessageFactory.create_batch(4)
    mailbox.answers = ["250 OK"]  # accepted without a recipient: the server then refuses the message's content
    deliver()
    assert Message.objects.filter(state=State.SENT).count() == 3


@pytest.mark.parametrize("how", ["dies", "is silent"])
def test_a_server_lost_in_the_middle_is_not_asked_twice(mailbox: Mailbox, settings: Settings, how: str) -> None:
    message = MessageFactory()
    if how == "dies":
        mailbox.dies = True
    else:
        settings.EMAIL_TIMEOUT, mailbox.seconds = 0.3, 1.5
    deliver()
    sweep_messages()
    deliver()
    message.refresh_from_db()
    assert (message.state, message.error) == (State.FAILED, UNKNOWN)
    assert len(mailbox.letters) == 1
    mailbox.dies, mailbox.seconds = False, 0
    send_again(actor=SYSTEM, message=message)
    deliver()
    first, second = mailbox.letters
    assert first["Message-ID"] == second["Message-ID"]


def test_a_worker_killed_while_sending_sends_nothing_twice(mailbox: Mailbox, settings: Settings) -> None:
    message = MessageFactory()
    mailbox.seconds = 30
    worker = _delivering_process()
    try:
        wait_for(lambda: len(mailbox.letters) == 1)
        message.refresh_from_db()
        assert message.state == State.SENDING
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    mailbox.seconds = 0
    deliver()
    assert sweep_messages() == 0  # the lease still stands
    Message.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sweep_messages() == 1
    deliver()
    message.refresh_from_db()
    assert (message.state, message.error, len(mailbox.letters)) == (State.FAILED, UNKNOWN, 1)


def test_a_worker_that_lost_its_lease_changes_nothing(mailbox: Mailbox) -> None:
    message = MessageFactory()
    leased = claim_message()
    assert leased is not None
    assert claim_message() is None
    Message.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweep_messages()
    assert not mark_sent(message=leased[1], token=leased[0])
    message.refresh_from_db()
    assert message.state == State.FAILED


def test_a_result_that_nobody_could_open_is_not_announced(mailbox: Mailbox) -> None:
    message = MessageFactory(case__patient__date_of_birth=None)
    deliver()
    message.refresh_from_db()
    assert message.state == State.FAILED
    assert "date of birth is missing" in message.error
    assert mailbox.letters == []


def test_a_local_folder_takes_letters_by_default(settings: Settings, tmp_path: Path) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    MessageFactory.create_batch(2)
    deliver()
    # Django names a file by the second and the sender's address in memory, so two letters may share one.
    assert sum(path.read_text().count("\nSubject: ") for path in tmp_path.iterdir()) == 2


def _delivering_process() -> "subprocess.Popen[bytes]":
    """A worker of its own, on this test's database and mail server."""
    server, _, _ = os.environ["DATABASE_URL"].rpartition("/")
    environment = {
        **os.environ,
        "DATABASE_URL": f"{server}/{connection.settings_dict['NAME']}",
        "EMAIL_URL": f"smtp://127.0.0.1:{django_settings.EMAIL_PORT}",
    }
    return subprocess.Popen([sys.executable, "-c", "from workers.delivery import deliver; deliver()"], env=environment)
