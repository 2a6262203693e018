"""A database of finished work, made by SQL, and the questions that are asked of it. Needs Django to be set up."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db import connection
from django.db.models import Field, Model
from django.test import Client
from django.urls import reverse

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
    JobFactory,
    MembershipFactory,
    OrganisationFactory,
    PatientFactory,
    ResultFactory,
    api_key,
)
from webapp.accounts.models import Membership
from webapp.cases.models import NO_ANSWER, Batch, Case, Image
from webapp.inference.claim import claim_jobs
from webapp.inference.models import CaseResult, Job, Result
from webapp.labels.models import Assignment
from webapp.leases import UNLEASED
from webapp.registry.selectors import active_release

CLINICS: Final = 10
ASKED: Final = 0.6  # of what is added belongs to the clinic that is asked: of a million, 54 of the largest batches
LARGEST: Final = 10_000  # cases of a batch
SMALL: Final = 60  # batches of the clinic from the beginning: more than a page of its list shows
QUEUED: Final = 300
AT_ONCE: Final = 16  # images of a claim

# What no case to review is: all of them are there to be read until that shows.
NONE_TO_REVIEW: Final = {
    "of patients": {"source": "patient"},
    "urgent": {"advice": "urgent_referral"},
    "of a class that none has": {"dx": "DF"},
    "of an unknown id": {"q": "nobody"},
}

# What differs between the copies, in SQL: `n` numbers them through, from `first` on, and `i` within their batch.
CASE, IMAGE = "md5('case' || n)::uuid", "md5('image' || n)::uuid"
CREATED = "now() + i * interval '30 microseconds'"  # as far apart as rows that Django makes in bulk
IN_BATCH = {"batch_id": "%(batch)s::uuid", "organisation_id": "%(clinic)s"}
ANSWER = {
    "advice": "CASE WHEN i %% 20 = 0 THEN 'urgent_referral' WHEN i %% 5 = 0 THEN 'routine_referral' "
    "ELSE 'self_monitor' END",
    "top_class": "(ARRAY['NV', 'MEL', 'BKL', 'BCC', 'NV'])[1 + i %% 5]",
    "uncertainty": "(i %% 30) / 100.0",
}
COPIES: Final[dict[type[Model], dict[str, str]]] = {
    Case: {
        "id": CASE,
        **IN_BATCH,
        "patient_id": "%(patient)s",
        "external_id": "'case-' || i",
        "created_at": CREATED,
        "released_at": "CASE WHEN i %% 2 = 0 THEN now() END",
        "answer_id": "n",
        "risk": "(i %% 1000) / 1000.0",
        **ANSWER,
    },
    Image: {"id": IMAGE, "case_id": CASE, **IN_BATCH, "sha256": "md5('' || n) || md5('x' || n)", "created_at": CREATED},
    Job: {"id": "n", "image_id": IMAGE, **IN_BATCH, "finished_at": "now() - interval '1 day'"},
    Result: {
        "id": "n",
        "image_id": IMAGE,
        "organisation_id": "%(clinic)s",
        "case_id": CASE,
        "job_id": "n",
        "doubt": "(i %% 97) / 100.0",
        **ANSWER,
    },
    CaseResult: {"id": "n", "case_id": CASE, **ANSWER},
}
COPY = """
INSERT INTO {table} ({columns})
SELECT {values} FROM {table} original, generate_series(1, %(cases)s) i, LATERAL (SELECT %(first)s + i AS n) numbered
WHERE original.id = %(original)s
"""


@dataclass(frozen=True)
class Question:
    """Something that is asked, and what makes the asking undone."""

    name: str
    ask: Callable[[], object]
    undo: Callable[[], object] = lambda: None


class Rows:
    """The rows of ten clinics: copies of one finished case. A column that is added later is copied with it."""

    def __init__(self, *, smallest: int) -> None:
        release = active_release()
        case = CaseFactory()
        job = JobFactory(image=ImageFactory(case=case, ready=True), succeeded=True)
        result = ResultFactory(job=job, release=release)
        combined = CaseResultFactory(case=case, release=release)
        self._originals: dict[type[Model], Any] = {
            Case: case.pk, Image: job.image.pk, Job: job.pk, Result: result.pk, CaseResult: combined.pk
        }  # fmt: skip
        self._clinics = OrganisationFactory.create_batch(CLINICS)
        self._patients = {clinic.pk: PatientFactory(organisation=clinic) for clinic in self._clinics}
        self._provider = MembershipFactory(organisation=self._clinics[0]).user
        self._annotator = MembershipFactory(organisation=self._clinics[0], role=Membership.Role.ANNOTATOR).user
        self._operator = MembershipFactory(organisation=self._clinics[0], role=Membership.Role.OPERATOR).user
        self._secret = api_key(organisation=self._clinics[0])[1]
        self._finished = 0
        self._numbered = 1000
        self._unanswered = self._add(0, smallest // 8)  # so that answered cases come after these and what is queued
        Case.objects.filter(batch=self._unanswered).update(**NO_ANSWER)
        self._watched = self._largest = self._add(0, min(LARGEST, smallest // 2))
        for _ in range(SMALL):
            self._add(0, smallest // 4 // SMALL)
        self._queue()

    def grow(self, size: int) -> None:
        """Add as many cases to the clinics as it takes to have finished `size` images."""
        added = size - self._finished
        for number in range(CLINICS):
            share = round(added * (ASKED if number == 0 else (1 - ASKED) / (CLINICS - 1)))
            for begun in range(0, share, LARGEST):
                batch = self._add(number, min(LARGEST, share - begun))
                if number == 0 and share - begun >= LARGEST:
                    self._largest = batch
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")

    def questions(self) -> Iterator[Question]:
        """What is asked of the first clinic's rows; every clinic's for a claim."""
        person = Client(SERVER_NAME="127.0.0.1")
        person.force_login(self._provider)
        software = Client(SERVER_NAME="127.0.0.1", headers={"Authorization": f"Bearer {self._secret}"})
        watched, largest = self._watched.pk, self._largest.pk
        yield Question("claim of 16 images", lambda: claim_jobs(limit=AT_ONCE), _give_back)
        yield _get("batches page", person, "cases:batches")
        yield _get("batch page", person, "cases:batch", watched)
        yield _get("batch page of the largest batch", person, "cases:batch", largest)
        wanted = {"q": "99", "review": "to_review", "uncertainty": "high"}
        yield _get("batch page without results", person, "cases:batch", self._unanswered.pk)
        yield _get("batch page, filtered", person, "cases:batch", largest, **wanted)
        yield _get("cases to review", person, "cases:to_review")
        for words, narrowed in NONE_TO_REVIEW.items():
            yield _get(f"cases to review, {words}", person, "cases:to_review", **narrowed)
        annotator = Client(SERVER_NAME="127.0.0.1")
        annotator.force_login(self._annotator)
        yield replace(_get("annotator's next image", annotator, "labels:queue"), undo=Assignment.objects.all().delete)
        yield _get("progress", person, "cases:batch_progress", watched)
        yield _get("API: list of batches", software, "api:batch-list")
        yield _get("API: list of cases", software, "api:case-list")
        yield _get("API: urgent cases", software, "api:case-list", advice="urgent_referral")
        urgent_and_waiting = {"advice": "urgent_referral", "released": "false"}
        yield _get("API: urgent cases to release, none", software, "api:case-list", **urgent_and_waiting)
        yield _get("API: cases of an unknown patient", software, "api:case-list", patient_id="nobody")
        yield _get("API: images of a batch", software, "api:batch-images", watched)
        yield _get("API: a batch and its progress", software, "api:batch-detail", watched)
        operator = Client(SERVER_NAME="127.0.0.1")
        operator.force_login(self._operator)
        yield _get("operator's page", operator, "operations:queues")
        yield _get("metrics", Client(SERVER_NAME="127.0.0.1"), "operations:metrics")

    def _add(self, number: int, cases: int) -> Batch:
        clinic = self._clinics[number]
        batch: Batch = BatchFactory(organisation=clinic, completed=True, name=f"{cases} cases", case_count=cases)
        values = {
            "batch": str(batch.pk),
            "clinic": clinic.pk,
            "patient": self._patients[clinic.pk].pk,
            "cases": cases,
            "first": self._numbered,
        }
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")  # foreign keys hold by construction
            for model, changes in COPIES.items():
                cursor.execute(_copy(model, changes), {**values, "original": self._originals[model]})
            cursor.execute("RESET session_replication_role")
        self._finished += cases
        self._numbered += cases
        return batch

    def _queue(self) -> None:
        """Images that wait, of two clinics; their ids are smaller than those of the copies."""
        for clinic in self._clinics[:2]:
            batch = BatchFactory(organisation=clinic, submitted=True, remaining=QUEUED // 2)
            for _ in range(QUEUED // 2):
                JobFactory(image=ImageFactory(case__batch=batch, ready=True))


def copied(name: str) -> str:
    """A copy of the current database under this name; gives the name."""
    current = connection.settings_dict["NAME"]
    using("postgres")
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{current}"')
    using(current)
    return name


def using(name: str) -> None:
    """Ask this database of the same server from now on."""
    connection.close()
    connection.settings_dict["NAME"] = name


def _copy(model: type[Model], changes: dict[str, str]) -> str:
    fields = [field for field in model._meta.concrete_fields if isinstance(field, Field) and not field.generated]
    columns = [str(field.column) for field in fields]
    values = [changes.get(column, f"original.{column}") for column in columns]
    return COPY.format(table=model._meta.db_table, columns=", ".join(columns), values=", ".join(values))


def _get(name: str, client: Client, route: str, *arguments: object, **query: str) -> Question:
    def ask() -> None:
        response = client.get(reverse(route, args=arguments), query)
        if response.status_code not in (200, 286):  # 286: htmx's word for an end
            raise RuntimeError(f"{name} answered {response.status_code}")

    return Question(name, ask)


def _give_back() -> None:
    Job.objects.filter(state=Job.State.RUNNING).update(state=Job.State.QUEUED, attempt=0, **UNLEASED)
