"""Cases as FHIR R4 (4.0.1), https://hl7.org/fhir/R4/: a Bundle of DiagnosticReports, Observations and Devices.

The resources are plain JSON, written as they are made: objects of a library's classes would only slow down a batch, and
that they are valid is tested. What the codes mean: docs/fhir.md.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.models import Prefetch
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from ml.classes import BINARY, DISPLAY_NAMES
from webapp.cases.models import Batch, Case, Image
from webapp.cases.selectors import for_stage, stage
from webapp.inference.models import NEWEST, CaseResult, Result
from webapp.pages.words import ADVICE, NOTICE, uncertainty_in_words
from webapp.registry.models import ModelRelease
from webapp.reports import wording

CHUNK = 1000
Resource = dict[str, Any]

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
    return _bundle(case.pk, [case])


def batch_bundle(batch: Batch) -> Iterator[str]:
    """Pieces of the Bundle of a whole batch: any number of cases in little memory and a constant number of queries."""
    cases = batch.cases.select_related("patient", "reviewed_by", "answer__release").defer("answer__release__manifest")
    doubtful = Result.objects.filter(case__top_class__in=BINARY.codes).order_by(*NEWEST).defer("heatmap")
    images = Prefetch("images", Image.objects.order_by("created_at", "id"))
    later = Prefetch("results", CaseResult.objects.only("case", "created_at"))
    cases = cases.prefetch_related(images, Prefetch("images__results", doubtful), later, *for_stage(batch))
    return _bundle(batch.pk, cases.iterator(chunk_size=CHUNK))


def _bundle(pk: uuid.UUID, cases: Iterable[Case]) -> Iterator[str]:
    head = {"resourceType": "Bundle", "id": str(pk), "type": "collection", "timestamp": _instant(timezone.now())}
    yield json.dumps(head)[:-1]
    number = -1
    for number, resource in enumerate(_resources(cases)):
        entry = {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
        yield (",\n" if number else ', "entry": [\n') + json.dumps(entry, ensure_ascii=False)
    yield "}\n" if number < 0 else "\n]}\n"  # FHIR knows no empty lists


def _resources(cases: Iterable[Case]) -> Iterator[Resource]:
    devices = set[str]()
    for case in cases:
        if case.answer is not None:
            device = _device(case.answer.release)
            if device["id"] not in devices:
                devices.add(device["id"])
                yield device
            yield _observation(case, case.answer, device["id"])
        yield _report(case)


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


def _observation(case: Case, result: CaseResult, device: str) -> Resource:
    observation = {
        "resourceType": "Observation",
        "id": _id("observation", f"{case.pk} {result.release_id}"),
        "status": _status(case),
        "category": [{"coding": [IMAGING]}],
        "code": {"coding": [TRIAGE], "text": TRIAGE["display"]},
        **_about(case),
        "issued": _instant(result.created_at),
        "valueCodeableConcept": _concept(CLASSES, result.top_class, DISPLAY_NAMES[result.top_class]),
        "interpretation": [_advice(result)],
        "note": [{"text": text} for text in (*_opinion(case), *wording.warnings(case), NOTICE)],
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
        observation["method"] = {"text": case.get_capture_display()}
    if case.anatom_site:
        observation["bodySite"] = {"text": case.anatom_site}
    return observation


def _report(case: Case) -> Resource:
    result = case.answer
    conclusion = " ".join(wording.sentences(result)) if result else ""
    report = {
        "resourceType": "DiagnosticReport",
        "id": str(case.pk),
        "text": {"status": "generated", "div": _narrative(case, conclusion)},
        "identifier": [{"system": _system(case, "case"), "value": case.external_id}],
        "status": _status(case),
        "category": [{"coding": [DIAGNOSTIC_IMAGING]}],
        "code": {"coding": [TRIAGE], "text": TRIAGE["display"]},
        **_about(case),
        "performer": [{"type": "Organization", "display": case.batch.organisation.name}],
    }
    if result is None:
        return report
    report |= {
        "issued": _instant(result.created_at),
        "result": [{"reference": f"urn:uuid:{_id('observation', f'{case.pk} {result.release_id}')}"}],
        "conclusion": f"{wording.headline(case)}. {conclusion} {wording.review(case)}. {NOTICE}",
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


def _narrative(case: Case, conclusion: str) -> str:
    said = [conclusion, f"{wording.review(case)}.", NOTICE]
    paragraphs = format_html_join("", "<p>{}</p>", ([text] for text in said if text))
    return format_html(
        '<div xmlns="http://www.w3.org/1999/xhtml"><p><b>{}</b></p>{}</div>', wording.headline(case), paragraphs
    )


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
