"""Releases may tell other classes apart: what people and programs are shown of their answers."""

import csv
import io

import pytest
from django.test import Client
from django.urls import reverse

from ml.classes import BINARY, CLASSES, EIGHT, SEVEN, Taxonomy
from tests.factories import (
    HEATMAP,
    BatchFactory,
    CaseFactory,
    ImageFactory,
    LabelFactory,
    ReleaseFactory,
    ResultFactory,
)
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM
from webapp.cases.models import Batch, Case
from webapp.cases.services import submit_batch
from webapp.inference.claim import claim_jobs
from webapp.inference.models import CaseResult
from webapp.inference.services import Outcome, finish
from webapp.labels.models import Consensus, Label
from webapp.labels.selectors import compared_with_model
from webapp.reports import exports

pytestmark = pytest.mark.django_db(transaction=True)


def answered(organisation: Organisation, *taxonomies: Taxonomy) -> Case:
    """A case with an image for each taxonomy, answered in it: as the last of its malignant classes, with 0.6."""
    case: Case = CaseFactory(batch=BatchFactory(organisation=organisation))
    ImageFactory.create_batch(len(taxonomies), case=case, ready=True)
    submit_batch(actor=SYSTEM, batch=case.batch)
    for known in taxonomies:
        token, [job] = claim_jobs(limit=1)
        rest = 0.4 / (len(known.codes) - 1)
        probabilities = {code: 0.6 if code == known.malignant[-1] else rest for code in known.codes}
        malignant = sum(probabilities[code] for code in known.malignant)
        outcome = Outcome(
            ReleaseFactory(), probabilities, malignant, 0.05, "urgent_referral", "test", "0" * 64, HEATMAP
        )
        assert finish(token=token, ends=[(job, outcome)])
    return case


def shown(client: Client, case: Case) -> str:
    return client.get(reverse("cases:case", args=[case.pk])).content.decode()


def row(batch: Batch) -> dict[str, str]:
    [found] = csv.DictReader(io.StringIO("".join(exports.as_csv(batch))))
    return found


def test_seven_classes(client: Client, clinic: Organisation) -> None:
    case = answered(clinic, SEVEN)
    html = shown(client, case)
    assert "melanoma, basal cell carcinoma, actinic keratosis or Bowen&#x27;s disease together" in html
    assert "Squamous" not in html
    found = row(case.batch)
    assert all(found[f"p_{code.lower()}"] for code in CLASSES)
    assert found["p_scc"] == ""


def test_eight_classes(client: Client, clinic: Organisation) -> None:
    case = answered(clinic, EIGHT)
    html = shown(client, case)
    assert "Likeliest: <strong>Squamous cell carcinoma</strong>" in html
    assert "disease, squamous cell carcinoma together" in html
    assert "Malignant tumour of keratinocytes" in html
    assert row(case.batch)["p_scc"] == "0.6"
    address = reverse("cases:batch", args=[case.batch_id])
    assert '<option value="SCC">Squamous cell carcinoma</option>' in client.get(address).content.decode()
    assert client.get(address, {"dx": "SCC"}).context["page"].rows == [case]
    assert client.get(address, {"dx": "MEL"}).context["page"].rows == []


def test_malignant_or_benign(client: Client, clinic: Organisation) -> None:
    case = answered(clinic, BINARY)
    html = shown(client, case)
    assert "Likeliest: <strong>Malignant</strong>" in html
    assert "P(malignant): any malignant or pre-malignant lesion." in html
    assert "Melanocytic naevus" not in html
    found = row(case.batch)
    assert (found["top_class"], found["p_malignant"]) == ("MALIGNANT", "0.6")
    assert not any(found[f"p_{code.lower()}"] for code in EIGHT.codes)


def test_images_of_one_case_in_different_taxonomies_are_not_mixed_silently(
    client: Client, clinic: Organisation
) -> None:
    case = answered(clinic, SEVEN, EIGHT)
    first, second = case.image_results.order_by("pk")
    combined = CaseResult.objects.get(case=case)
    assert set(combined.probabilities) == set(BINARY.codes)
    assert (combined.images, combined.top_class) == (2, "MALIGNANT")
    assert combined.malignant == pytest.approx((first.malignant + second.malignant) / 2)
    html = shown(client, case)
    assert "only malignant and benign are combined" in html
    assert "On its own: Squamous cell carcinoma" in html
    assert "only malignant and benign are combined" not in shown(client, answered(clinic, EIGHT, EIGHT))


def test_an_annotator_is_not_said_to_differ_from_a_model_that_names_no_class() -> None:
    for top_class, agrees, differs in (("MALIGNANT", 0, 0), ("SCC", 0, 1), ("AKIEC", 1, 1)):
        label = LabelFactory(dx="AKIEC")
        result = ResultFactory(job__image=label.image, top_class=top_class)
        Consensus.objects.create(image=label.image, dx="AKIEC", result=result, differs=False)
        compared = [compared_with_model(Label.objects.all(), agrees=same).count() for same in (True, False)]
        assert compared == [agrees, differs]
