"""Cases as FHIR R4 (4.0.1), https://hl7.org/fhir/R4/: a Bundle of DiagnosticReports, Observations and Devices.

The resources are plain JSON, written as they are made: objects of a library's classes would only slow down a batch, and
that they are valid is tested. What the codes mean: docs/fhir.md.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import islice
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Prefetch, Q, prefetch_related_objects
from django.utils import timezone

from ml.classes import BINARY, DISPLAY_NAMES
from webapp.cases.models import NOT_A_LESION, Batch, Case, Image
from webapp.cases.selectors import for_stage, stage
from webapp.inference.models import NEWEST, CaseResult, Result
from webapp.pages.words import ADVICE, NOTICE, uncertainty_in_words
from webapp.registry.models import ModelRelease
from webapp.reports import wording

CHUNK = 1000
AS_JSON = json.JSONEncoder(ensure_ascii=False)
Resource = dict[str, Any]
Seen = tuple[Case, Iterable[Image]]  # with the images that make its answer doubtful, if any do

# The project's own codes: LOINC has none for a model's opinion of a lesion, and SNOMED CT's would read as a diagnosis.
CLASSES = "urn:lesionlens:fhir:lesion-class"  # ISIC's codes of lesions, and BENIGN and MALIGNANT
ADVICES = "urn:lesionlens:fhir:advice"
MEASURES = "urn:lesionlens:fhir:measure"
BUNDLE_SHA256 = "urn:lesionlens:fhir:bundle-sha256"
TRIAGE = {"system": MEASURES, "code": "lesion-triage", "display": "Triage support for a skin lesion by a model"}
P_MALIGNANT = {"system": MEASURES, "code": "p-malignant", "display": "Probability of any malignant class"}
UNCERTAINTY = {"system": MEASURES, "code": "p-malignant-sd", "display": "Standard deviation of p-malignant"}

UCUM = "http://unitsofmeasure.org"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
IMAGING = {"system": f"{TERMINOLOGY}/observation-category", "code": "imaging", "display": "Imaging"}
DIAGNOSTIC_IMAGING = {"system": f"{TERMINOLOGY}/v2-0074", "code": "IMG", "display": "Diagnostic Imaging"}


def case_bundle(case: Case) -> Iterator[str]:
    """Pieces of the Bundle of a case that `with_answers` has fetched."""
    return _bundle(case.pk, [(case, case.images.all())])


def batch_bundle(batch: Batch) -> Iterator[str]:
    """Pieces of the Bundle of a whole batch: any number of cases in little memory, and few queries."""
    return _bundle(batch.pk, _with_images(batch))


def _with_images(batch: Batch) -> Iterator[Seen]:
    """The cases of a batch. Most need neither images nor other results than their answer, which take half the time."""
    unanswered = Q(~Exists(Result.objects.filter(image=OuterRef("pk"))), state=Image.State.READY)
    not_as_others = Image.objects.filter(unanswered | Q(quality__contains=[{"code": NOT_A_LESION}]))
    in_order = Prefetch("images", Image.objects.order_by("created_at", "id"))
    of_images = Prefetch("images__results", Result.objects.order_by(*NEWEST).defer("heatmap"))
    later = Prefetch("results", CaseResult.objects.only("case", "created_at"))
    cases = batch.cases.select_related("patient", "reviewed_by", "answer").iterator(chunk_size=CHUNK)
    while chunk := list(islice(cases, CHUNK)):
        doubtful = set(not_as_others.filter(case__in=chunk).values_list("case", flat=True))
        doubtful.update(case.pk for case in chunk if case.top_class in BINARY.codes)
        prefetch_related_objects([case for case in chunk if case.answer is None], in_order, *for_stage(batch))
        prefetch_related_objects([case for case in chunk if case.pk in doubtful], in_order, of_images)
        prefetch_related_objects([case for case in chunk if case.raised_at], later)
        yield from ((case, case.images.all() if case.pk in doubtful else ()) for case in chunk)


def _bundle(pk: uuid.UUID, cases: Iterable[Seen]) -> Iterator[str]:
    head = {"resourceType": "Bundle", "id": str(pk), "type": "collection", "timestamp": _instant(timezone.now())}
    yield json.dumps(head)[:-1]
    between = ', "entry": [\n'
    for resources in _resources(cases):
        entries = [{"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource} for resource in resources]
        yield between + ",\n".join(map(AS_JSON.encode, entries))
        between = ",\n"
    yield "\n]}\n" if between == ",\n" else "}\n"  # FHIR knows no empty lists


def _resources(cases: Iterable[Seen]) -> Iterator[list[Resource]]:
    """Those of each case; of a release with the first case that it answered."""
    devices: dict[int, str] = {}
    for case, images in cases:
        about, answer, found = _about(case), case.answer, list[Resource]()
        if answer is not None:
            if answer.release_id not in devices:
                found.append(_device(answer.release))
                devices[answer.release_id] = found[0]["id"]
            found.append(_observation(case, answer, images, about, devices[answer.release_id]))
        yield [*found, _report(case, about, found[-1:])]


def _device(release: ModelRelease) -> Resource:
    return {
        "resourceType": "Device",
        "id": _id("device", release.bundle_sha256),
        "identifier": [{"system": BUNDLE_SHA256, "value": release.bundle_sha256}],
        "status": "active",
        "deviceName": [{"name": release.name, "type": "model-name"}],
        "type": {"text": "Neural networks that answer pictures of skin lesions"},
        "version": [{"value": release.code_version}],
        "note": [{"text": NOTICE}],
    }


def _observation(case: Case, result: CaseResult, images: Iterable[Image], about: Resource, device: str) -> Resource:
    observation = {
        "resourceType": "Observation",
        "id": _id("observation", f"{case.pk} {result.release_id}"),
        "status": _status(case),
        "category": [{"coding": [IMAGING]}],
        "code": {"coding": [TRIAGE], "text": TRIAGE["display"]},
        **about,
        "issued": _instant(result.created_at),
        "valueCodeableConcept": _concept(CLASSES, result.top_class, DISPLAY_NAMES[result.top_class]),
        "interpretation": [_advice(result)],
        "note": [{"text": text} for text in (*_opinion(case), *wording.warnings(case, images), NOTICE)],
        "device": {"reference": f"urn:uuid:{device}"},
        "component": [
            _component(P_MALIGNANT, result.malignant),
            *_uncertainty(result.uncertainty),
            *(
                _component({"system": CLASSES, "code": code, "display": name}, result.probabilities[code])
                for code, name in DISPLAY_NAMES.items()
                if code in result.probabilities
            ),
        ],
    }
    if case.capture != Case.Capture.UNKNOWN:
        observation["method"] = {"text": Case.Capture(case.capture).label}
    if case.anatom_site:
        observation["bodySite"] = {"text": case.anatom_site}
    return observation


def _report(case: Case, about: Resource, results: Sequence[Resource]) -> Resource:
    result = case.answer
    headline, review = wording.headline(case), wording.review(case)
    conclusion = " ".join(wording.sentences(result)) if result else ""
    report = {
        "resourceType": "DiagnosticReport",
        "id": str(case.pk),
        "text": {"status": "generated", "div": _narrative(headline, conclusion, f"{review}.", NOTICE)},
        "identifier": [{"system": _system(case, "case"), "value": case.external_id}],
        "status": _status(case),
        "category": [{"coding": [DIAGNOSTIC_IMAGING]}],
        "code": {"coding": [TRIAGE], "text": TRIAGE["display"]},
        **about,
        "performer": [{"type": "Organization", "display": case.batch.organisation.name}],
    }
    if result is None:
        return report
    report |= {
        "issued": _instant(result.created_at),
        "result": [{"reference": f"urn:uuid:{observation['id']}"} for observation in results],
        "conclusion": f"{headline}. {conclusion} {review}. {NOTICE}",
        "conclusionCode": [_advice(result)],
    }
    if case.reviewed_by:
        report["resultsInterpreter"] = [{"type": "Practitioner", "display": case.reviewed_by.email}]
    return report


def _status(case: Case) -> str:
    """`final` once a clinician has released the answer; `registered` while there is none, `cancelled` if none comes."""
    if case.answer is None:
        ended = case.erased_at or (case.batch.finished_at and stage(case) != "waiting")  # still at the model
        return "cancelled" if ended else "registered"
    return "final" if case.reviewed_at else "preliminary"


def _about(case: Case) -> Resource:
    patient = {"system": _system(case, "patient"), "value": case.patient.external_id}
    return {
        "subject": {"type": "Patient", "identifier": patient},
        "effectiveDateTime": _instant(case.created_at),  # when the pictures were sent; when they were taken is unknown
    }


def _opinion(case: Case) -> list[str]:
    """A note and no Observation of its own, which would read as a diagnosis: nobody has examined the patient."""
    return [f"{wording.opinion(case)} than this advice. It is an opinion of a picture."] if case.dissent else []


def _narrative(headline: str, *paragraphs: str) -> str:
    said = "".join(f"<p>{escape(text)}</p>" for text in paragraphs if text)
    return f'<div xmlns="http://www.w3.org/1999/xhtml"><p><b>{escape(headline)}</b></p>{said}</div>'


def _advice(result: CaseResult) -> Resource:
    return _concept(ADVICES, result.advice, ADVICE[result.advice].word)


def _concept(system: str, code: str, words: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": words}], "text": words}


def _uncertainty(uncertainty: float | None) -> list[Resource]:
    """None of a release whose only network has no other to differ from."""
    return [] if uncertainty is None else [_component(UNCERTAINTY, uncertainty, uncertainty_in_words(uncertainty))]


def _component(code: Mapping[str, str], value: float, words: str = "") -> Resource:
    component: Resource = {
        "code": {"coding": [code], "text": code["display"]},
        "valueQuantity": {"value": round(value, 6), "system": UCUM, "code": "1"},
    }
    if words:
        component["interpretation"] = [{"text": words}]
    return component


def _system(case: Case, of_what: str) -> str:
    """The namespace of an organisation's own ids."""
    return f"{settings.SITE_URL}/fhir/organisation/{case.organisation_id}/{of_what}"


def _id(kind: str, name: str) -> str:
    """The same id for the same thing, whenever it is asked for."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:lesionlens:fhir:{kind}:{name}"))


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
