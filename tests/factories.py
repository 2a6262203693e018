"""Every object that a test needs, made with the least that is valid."""

import uuid
from functools import cache
from typing import Any

import factory
from django.contrib.auth.hashers import make_password
from django.utils import timezone

from ml.advice import Advice
from ml.classes import CLASSES
from tests.webapp.registry.gates import gate
from tests.webapp.registry.manifests import usable_manifest
from webapp.accounts.models import ApiKey, Membership, Organisation, Patient, User
from webapp.accounts.services import create_api_key
from webapp.audit.services import SYSTEM
from webapp.cases.models import Archive, Batch, Case, Image
from webapp.inference.answers import doubt_of, set_current_answers
from webapp.inference.models import CaseResult, Job, Result
from webapp.labels.models import Consensus, Label
from webapp.notify.models import Message
from webapp.registry.models import DatasetSnapshot, ModelRelease, TrainingRun
from webapp.webhooks.models import Delivery, Endpoint, EventType
from webapp.webhooks.signing import new_secret, seal

NOW = factory.LazyFunction(timezone.now)
PASSWORD = "a-long-enough-password"
PROBABILITIES = dict(zip(CLASSES, (0.6, 0.2, 0.1, 0.04, 0.03, 0.02, 0.01), strict=True))
HEATMAP = bytes([1, 2, 0, 255])  # packed: one row of two cells
THRESHOLDS = {Advice.URGENT_REFERRAL.value: 0.5, Advice.ROUTINE_REFERRAL.value: 0.1}


@cache
def hashed_password() -> str:
    """PASSWORD as it is stored: hashed once for a whole run, because hashing is slow on purpose."""
    return make_password(PASSWORD)


class UserFactory(factory.django.DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"person{n}@clinic.example")
    password = factory.LazyFunction(hashed_password)


class OrganisationFactory(factory.django.DjangoModelFactory[Organisation]):
    class Meta:
        model = Organisation

    name = factory.Sequence(lambda n: f"Clinic {n}")
    slug = factory.Sequence(lambda n: f"clinic-{n}")
    contact_email = factory.LazyAttribute(lambda o: f"desk@{o.slug}.example")


class MembershipFactory(factory.django.DjangoModelFactory[Membership]):
    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory)
    organisation = factory.SubFactory(OrganisationFactory)
    role = Membership.Role.PROVIDER


class PatientFactory(factory.django.DjangoModelFactory[Patient]):
    class Meta:
        model = Patient

    organisation = factory.SubFactory(OrganisationFactory)
    external_id = factory.Sequence(lambda n: f"patient-{n}")
    email = factory.Sequence(lambda n: f"patient{n}@home.example")
    date_of_birth = factory.Faker("date_of_birth", minimum_age=18)


class BatchFactory(factory.django.DjangoModelFactory[Batch]):
    class Meta:
        model = Batch

    organisation = factory.SubFactory(OrganisationFactory)
    source = Batch.Source.API

    class Params:
        submitted = factory.Trait(state=Batch.State.SUBMITTED, submitted_at=NOW, remaining=1)
        completed = factory.Trait(state=Batch.State.COMPLETED, submitted_at=NOW, finished_at=NOW)


class CaseFactory(factory.django.DjangoModelFactory[Case]):
    class Meta:
        model = Case

    batch = factory.SubFactory(BatchFactory)
    organisation = factory.SelfAttribute("batch.organisation")
    source = factory.SelfAttribute("batch.source")
    patient = factory.SubFactory(PatientFactory, organisation=factory.SelfAttribute("..organisation"))
    external_id = factory.Sequence(lambda n: f"case-{n}")
    capture = Case.Capture.DERMOSCOPIC


class ImageFactory(factory.django.DjangoModelFactory[Image]):
    """An image; `stored=True` or `ready=True` puts it further on its way."""

    class Meta:
        model = Image

    case = factory.SubFactory(CaseFactory)
    batch = factory.SelfAttribute("case.batch")
    organisation = factory.SelfAttribute("case.organisation")
    filename = factory.Sequence(lambda n: f"image-{n}.jpg")
    priority = factory.SelfAttribute("batch.priority")

    class Params:
        stored = factory.Trait(state=Image.State.STORED, stored_at=NOW)
        ready = factory.Trait(
            state=Image.State.READY,
            stored_at=NOW,
            ended_at=NOW,
            sha256=factory.LazyFunction(lambda: uuid.uuid4().hex * 2),
            width=600,
            height=450,
        )


class ArchiveFactory(factory.django.DjangoModelFactory[Archive]):
    """A ZIP that an open batch awaits."""

    class Meta:
        model = Archive

    class Params:
        stored = factory.Trait(state=Archive.State.STORED, stored_at=NOW)

    batch = factory.SubFactory(BatchFactory)


class ReleaseFactory(factory.django.DjangoModelFactory[ModelRelease]):
    class Meta:
        model = ModelRelease

    name = factory.Sequence(lambda n: f"release-{n}")
    bundle_sha256 = factory.LazyFunction(lambda: uuid.uuid4().hex * 2)
    code_version = "test"
    manifest = factory.LazyFunction(lambda: usable_manifest(THRESHOLDS))

    class Params:
        active = factory.Trait(state=ModelRelease.State.ACTIVE, decided_at=NOW)


class SnapshotFactory(factory.django.DjangoModelFactory[DatasetSnapshot]):
    class Meta:
        model = DatasetSnapshot

    sha256 = factory.LazyFunction(lambda: uuid.uuid4().hex * 2)
    counts = factory.LazyFunction(lambda: {"train": {"MEL": 3}, "validation": {"MEL": 1}, "test": {"NV": 2}})
    images = 6


class RunFactory(factory.django.DjangoModelFactory[TrainingRun]):
    """A queued run; `evaluated=True` ends it with a candidate and a gate, `failed=True` without."""

    class Meta:
        model = TrainingRun

    snapshot = factory.SubFactory(SnapshotFactory)
    parent = factory.SubFactory(ReleaseFactory)
    epochs = 2
    members = factory.LazyFunction(lambda: ["tiny"])

    class Params:
        verdict = "passed"
        evaluated = factory.Trait(
            state=TrainingRun.State.EVALUATED,
            candidate=factory.SubFactory(ReleaseFactory),
            gate=factory.LazyAttribute(lambda o: gate(o.verdict)),
            finished_at=NOW,
        )
        failed = factory.Trait(
            state=TrainingRun.State.FAILED,
            error="training_crashed: The trainer ended with code 1.",
            finished_at=NOW,
        )


class JobFactory(factory.django.DjangoModelFactory[Job]):
    class Meta:
        model = Job

    image = factory.SubFactory(ImageFactory, ready=True)
    batch = factory.SelfAttribute("image.batch")
    organisation = factory.SelfAttribute("image.organisation")
    priority = factory.SelfAttribute("batch.priority")

    class Params:
        succeeded = factory.Trait(state=Job.State.SUCCEEDED, finished_at=NOW)


class ResultFactory(factory.django.DjangoModelFactory[Result]):
    class Meta:
        model = Result

    job = factory.SubFactory(JobFactory, succeeded=True)
    image = factory.SelfAttribute("job.image")
    organisation = factory.SelfAttribute("job.organisation")
    case = factory.SelfAttribute("image.case")
    release = factory.SubFactory(ReleaseFactory)
    doubt = factory.LazyAttribute(lambda o: doubt_of(o.malignant, o.uncertainty, THRESHOLDS))
    probabilities = factory.LazyFunction(lambda: dict(PROBABILITIES))
    top_class = "MEL"
    malignant = 0.74
    uncertainty = 0.05
    advice = Advice.URGENT_REFERRAL.value
    preprocessing = "test"
    input_sha256 = "0" * 64
    heatmap = HEATMAP


class CaseResultFactory(factory.django.DjangoModelFactory[CaseResult]):
    class Meta:
        model = CaseResult
        skip_postgeneration_save = True

    case = factory.SubFactory(CaseFactory)
    release = factory.SubFactory(ReleaseFactory)
    images = 1
    probabilities = factory.LazyFunction(lambda: dict(PROBABILITIES))
    top_class = "MEL"
    malignant = 0.74
    uncertainty = 0.05
    advice = Advice.URGENT_REFERRAL.value

    @factory.post_generation
    def held(self, create: bool, extracted: Any, **kwargs: Any) -> None:
        """It holds for its case, as it does once the worker has written it."""
        if create:
            set_current_answers(results=[self])
            self.case.refresh_from_db()


class ConsensusFactory(factory.django.DjangoModelFactory[Consensus]):
    class Meta:
        model = Consensus

    image = factory.SubFactory(ImageFactory, ready=True)
    dx = "MEL"
    differs = False


class LabelFactory(factory.django.DjangoModelFactory[Label]):
    class Meta:
        model = Label

    image = factory.SubFactory(ImageFactory, ready=True)
    annotator = factory.SubFactory(UserFactory)
    dx = "NV"
    confidence = Label.Confidence.HIGH


class MessageFactory(factory.django.DjangoModelFactory[Message]):
    """The message that a released result can be read."""

    class Meta:
        model = Message

    kind = Message.Kind.RESULT_READY
    case = factory.SubFactory(CaseFactory, released_at=NOW)
    batch = factory.SelfAttribute("case.batch")
    recipient = factory.SelfAttribute("case.patient.email")


class EndpointFactory(factory.django.DjangoModelFactory[Endpoint]):
    class Meta:
        model = Endpoint

    organisation = factory.SubFactory(OrganisationFactory)
    url = factory.Sequence(lambda n: f"http://127.0.0.1:65535/hook/{n}")  # nobody listens there
    event_types = factory.LazyFunction(lambda: list(EventType.values))
    sealed_secret = factory.LazyFunction(lambda: seal(new_secret()))


class DeliveryFactory(factory.django.DjangoModelFactory[Delivery]):
    class Meta:
        model = Delivery

    endpoint = factory.SubFactory(EndpointFactory)
    type = EventType.BATCH_CANCELLED
    occasion = factory.LazyFunction(lambda: str(uuid.uuid4()))
    body = '{"type":"batch.cancelled","timestamp":"2026-11-21T12:00:00.000Z","data":{}}'
    send_after = NOW


def api_key(**organisation: Any) -> tuple[ApiKey, str]:
    """A clinic's key and its secret."""
    clinic = organisation.pop("organisation", None) or OrganisationFactory(**organisation)
    return create_api_key(actor=SYSTEM, organisation=clinic, name="test")
