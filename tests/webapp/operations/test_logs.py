"""A batch that goes all the way leaves nothing in the logs that tells of a person or of a finding."""

import io
import json
import logging
from datetime import date
from pathlib import Path

import pytest
import structlog
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse

from ml.advice import Advice
from ml.classes import CLASSES, DISPLAY_NAMES
from tests.factories import CaseFactory, MembershipFactory, OrganisationFactory, UserFactory
from tests.ml.imaging.samples import encode, skin_photo
from tests.ml.tiny_bundle import make_tiny_bundle
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM, Actor
from webapp.cases.manifest.spec import CaseSpec
from webapp.cases.models import Batch, Case
from webapp.cases.review import release_case
from webapp.cases.services import Submission, create_batch, submit_batch
from webapp.cases.uploads import store_upload
from webapp.labels.services import next_image, submit_label
from webapp.notify.models import Message
from webapp.registry.bundles import store_bundle
from webapp.registry.services import promote, register_release
from workers.delivery import deliver
from workers.inference import drain
from workers.intake import inspect_waiting
from workers.upkeep import sweep

pytestmark = pytest.mark.django_db(transaction=True)
FINDINGS = {*CLASSES, *DISPLAY_NAMES.values(), *(advice.value for advice in Advice), "probabilities", "malignant"}


def test_a_row_that_the_database_refuses_is_not_in_the_traceback(log: io.StringIO) -> None:
    person = f"{'zebe'}{'dee'}"  # in parts, because a traceback shows this file's lines too
    UserFactory(email=f"{person}@home.example")
    try:
        UserFactory(email=f"{person}@home.example")
    except IntegrityError:
        logging.getLogger("django.request").exception("fault")
        structlog.get_logger("webapp").exception("fault")
    try:
        CaseFactory(age=121, notes=f"{person}\n\nis {person}")
    except IntegrityError:
        structlog.get_logger("webapp").exception("fault")
    assert log.getvalue().count("IntegrityError") >= 3
    assert log.getvalue().count("DETAIL: (hidden)") >= 3
    assert "zebedee" not in log.getvalue().lower()


@pytest.mark.parametrize(
    ("address", "logger"),
    [
        ("/results/{}/", "django.security.csrf"),
        ("/account/password/reset/key/1-{}/", "django.request"),
        ("/uploads/{}", "webapp"),
    ],
)
def test_no_record_of_an_address_has_its_token(log: io.StringIO, address: str, logger: str) -> None:
    token = "cx7zq2-0123456789abcdef0123456789abcdef"
    logging.getLogger(logger).warning("Forbidden (%s): %s", "no cookie", address.format(token))
    structlog.get_logger(logger).warning("refused", path=address.format(token))
    if "uploads" not in address:
        Client(enforce_csrf_checks=True).post(address.format(token))
    assert address.format(r"\u2026").replace("1-", "") in log.getvalue()
    assert token not in log.getvalue()


@pytest.fixture
def clinic(tmp_path: Path) -> Organisation:
    made = store_bundle(make_tiny_bundle(tmp_path / "bundle"))
    release = register_release(bundle_sha256=made.hash, manifest=dict(made.manifest))
    promote(actor=SYSTEM, release=release)
    clinic: Organisation = OrganisationFactory(name="Elm Street Surgery", contact_email="desk@elm.example")
    return clinic


def test_a_batch_from_manifest_to_label_leaves_no_person_and_no_finding_in_the_logs(
    log: io.StringIO, clinic: Organisation, client: Client
) -> None:
    provider = MembershipFactory(organisation=clinic, user__email="dr.grace@elm.example")
    spec = CaseSpec(
        external_id="case-of-Zebedee",
        patient_id="patient-Quagmire",
        filenames=["portrait-of-Zebedee.jpg", "not-a-picture.jpg"],
        notes="Mrs Zebedee is worried",
        patient_email="zebedee@home.example",
        patient_date_of_birth=date(1957, 3, 14),
    )
    actor = Actor(user=provider.user)
    batch, _ = create_batch(
        actor=actor, organisation=clinic, submission=Submission(source=Batch.Source.WEB, name="Zebedee's"), cases=[spec]
    )
    good, bad = batch.images.order_by("filename").reverse()
    store_upload(image=good, file=io.BytesIO(encode(skin_photo(), "JPEG")))
    store_upload(image=bad, file=io.BytesIO(b"not a picture"))
    submit_batch(actor=actor, batch=batch)
    for work in (inspect_waiting, drain, deliver, sweep):
        work()
    batch.refresh_from_db()
    assert batch.remaining == 0, log.getvalue()
    release_case(actor=actor, case=Case.objects.get(batch=batch), note="Come and see me, Zebedee")
    deliver()
    assert Message.objects.filter(state="sent").count() == 2, log.getvalue()
    annotator = MembershipFactory(organisation=clinic, role="annotator").user
    image = next_image(actor=Actor(user=annotator), annotator=annotator)
    assert image is not None
    submit_label(actor=Actor(user=annotator), annotator=annotator, image=image, dx="MEL", confidence=3, note="Zebedee")
    client.force_login(provider.user)
    for address in (reverse("audit:events"), "/nowhere/", reverse("labels:queue")):
        client.get(address)

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    events = {line["event"] for line in lines}
    assert {"image_inspected", "batch_answered", "message_sent"} <= events, events
    everything = log.getvalue().lower()
    for person in ("zebedee", "quagmire", "grace", "elm", "@", "1957-03-14", annotator.email):
        assert person not in everything
    words = {str(value) for line in lines for value in line.values()}
    assert not any(finding in word for finding in FINDINGS for word in words)
