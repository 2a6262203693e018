"""What patients read: plain enough for a twelve-year-old, never a bare number, never a promise."""

import re

import pytest
from django.utils import timezone

from ml.advice import Advice
from tests.factories import CaseResultFactory
from webapp.cases.models import Case
from webapp.inference.models import CaseResult
from webapp.inference.services import RETAKE
from webapp.patients.words import (
    AGREED,
    COUNTED_WHERE,
    DIFFERED,
    FAR_APART,
    FOLLOWS_ONE_PHOTO,
    NO_NUMBER,
    NO_SKIN_CAMERA,
    NO_SPOT,
    NOT_SEEN,
    SEEN_BY_CLINIC,
    TRAINING,
    TRAINING_IS_OPTIONAL,
    explain,
    frequency,
)

pytestmark = pytest.mark.django_db

AGE_12 = 6.9  # a school grade; grade 6 ends at twelve


def syllables(word: str) -> int:
    """Groups of vowels, without a silent e: near enough for a mean over many words."""
    word = re.sub(r"(?:[^laeiouy]es|[^laeiouyt]ed|[^laeiouy]e)$", "", word.lower())
    return max(1, len(re.findall(r"[aeiouy]+", word)))


def grade(text: str) -> float:
    """The Flesch-Kincaid grade (Kincaid, Fishburne, Rogers, Chissom 1975)."""
    sentences = [part for part in re.split(r"[.!?]+(?:\s|$)", text) if part.strip()]
    words = re.findall(r"[A-Za-z']+", text)
    return 0.39 * len(words) / len(sentences) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


def test_the_measure_tells_plain_from_learned_words() -> None:
    assert grade("The cat sat on the mat. It was warm.") < 2
    assert grade("Dermoscopic evaluation demonstrates irregular pigmentation necessitating histopathology.") > 15


def result_with(advice: Advice, **fields: float) -> CaseResult:
    made: CaseResult = CaseResultFactory(advice=advice.value, **fields)
    return made


@pytest.mark.parametrize("advice", Advice)
@pytest.mark.parametrize("uncertainty", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("capture", Case.Capture)
def test_a_result_reads_at_the_age_of_twelve(advice: Advice, uncertainty: float, capture: Case.Capture) -> None:
    result = result_with(advice, uncertainty=uncertainty)
    result.case.capture = capture
    sentences = explain(result.case, result).sentences()
    assert grade(" ".join(sentences)) <= AGE_12
    assert all(len(part.split()) <= 25 for text in sentences for part in re.split(r"(?<=[.!?])\s", text))


def test_so_does_what_is_said_of_a_picture_that_shows_no_lesion() -> None:
    assert grade(RETAKE) <= AGE_12
    assert grade(f"{NO_SPOT} {NO_NUMBER}") <= AGE_12


def test_so_does_why_a_small_number_stands_beside_a_visit_to_the_doctor() -> None:
    assert grade(FOLLOWS_ONE_PHOTO) <= AGE_12


def test_so_does_what_people_agree_to_before_they_send_a_photo() -> None:
    assert grade(" ".join([*TRAINING, TRAINING_IS_OPTIONAL])) <= AGE_12
    assert all(len(part.split()) <= 25 for text in TRAINING for part in re.split(r"(?<=[.!?])\s", text))


@pytest.mark.parametrize("advice", Advice)
def test_a_result_says_what_to_do_and_that_it_is_no_diagnosis(advice: Advice) -> None:
    result = result_with(advice)
    explanation = explain(result.case, result)
    text = " ".join(explanation.sentences())
    assert "This is not a diagnosis." in text
    assert "emergency number" in text
    assert re.search("2 weeks" if advice == Advice.URGENT_REFERRAL else "4 to 6 weeks|once a month", text)
    assert explanation.words.steps
    assert not re.search(r"%|0\.\d|percent|you have (?:skin )?cancer|you do not have|nothing to worry", text)
    assert not re.search("(?:not need|no need) to see", text)


def test_reassurance_comes_with_what_would_make_it_wrong() -> None:
    """A computer has seen a photo, and not the bleeding or the sore that tells of a carcinoma."""
    result = result_with(Advice.SELF_MONITOR)
    explanation = explain(result.case, result)
    assert explanation.words.answer.startswith("We saw no strong signs of skin cancer in this photo.")
    assert explanation.words.steps[0].startswith("If it already bleeds, itches, hurts or has not healed in 4 weeks")
    assert "It becomes a sore that does not heal." in explanation.sentences()


@pytest.mark.parametrize("advice", Advice)
def test_as_many_photos_are_spoken_of_as_were_looked_at(advice: Advice) -> None:
    said = {}
    for images in (1, 3):
        result = result_with(advice, images=images)
        words = explain(result.case, result).words
        said[images] = " ".join([words.answer, words.meaning[0]])
    assert re.search("your photo[ .]", said[1])
    assert not re.search("photos", said[1])
    assert re.search("your photos[ .]", said[3])
    assert not re.search("(this|your) photo[ .]", said[3])
    assert not re.search("[{}]", said[1] + said[3])


def test_a_phone_photo_is_said_to_be_untested() -> None:
    result = result_with(Advice.SELF_MONITOR)
    assert NO_SKIN_CAMERA not in explain(result.case, result).sentences()
    result.case.capture = Case.Capture.PHONE
    assert NO_SKIN_CAMERA in explain(result.case, result).sentences()


@pytest.mark.parametrize(
    ("malignant", "number", "full"),
    [
        (0.0, "fewer than 1 is", 0),
        (0.0099, "fewer than 1 is", 0),
        (0.01, "about 1 is", 1),
        (0.07, "about 7 are", 7),
        (0.5, "about 50 are", 50),
        (0.985, "about 98 are", 98),
        (0.99, "about 99 are", 99),
        (0.995, "more than 99 are", 99),
        (1.0, "more than 99 are", 99),
    ],
)
def test_a_probability_becomes_so_many_of_100_and_never_none_or_all(malignant: float, number: str, full: int) -> None:
    picture = frequency(malignant)
    kinds = [dot.kind for dot in picture.dots]
    assert number in picture.sentence
    assert picture.sentence.endswith(COUNTED_WHERE)
    assert len(kinds) == 100
    assert kinds.count("full") == full
    assert kinds.count("half") == (full == 0)
    assert kinds.count("empty") >= 1
    assert len({(dot.x, dot.y) for dot in picture.dots}) == 100


def test_how_sure_and_who_has_seen_it() -> None:
    result = result_with(Advice.SELF_MONITOR, uncertainty=0.01)
    assert explain(result.case, result).sureness == AGREED
    result.uncertainty = 0.1
    assert explain(result.case, result).sureness == DIFFERED
    result.uncertainty = 0.2
    assert explain(result.case, result).sureness == FAR_APART
    assert explain(result.case, result).seen == NOT_SEEN
    result.case.reviewed_at = timezone.now()  # by whom is not known of what the clinic's software released
    assert explain(result.case, result).seen == SEEN_BY_CLINIC
