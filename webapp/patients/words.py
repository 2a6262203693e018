"""Every word about a result that a patient reads, at a reading age of about 12.

The order follows how the NHS service manual tells people about results: the answer first in one plain sentence, what
it means, what to do and how soon, how sure we are, where to get help.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ml.advice import Advice
from webapp.cases.models import Case
from webapp.inference.models import CaseResult
from webapp.pages.words import CLOSE, NEAR


@dataclass(frozen=True)
class Words:
    """What is said for one advice. `icon` and `colour` stand beside the words, never instead of them.

    In `answer` and `meaning`, and in ONE_ANSWER, stand {this} and {photo} for `this photo` or `these photos`.
    """

    icon: str
    colour: str
    answer: str
    meaning: Sequence[str]
    steps: Sequence[str]


ADVICE_WORDS = {
    Advice.URGENT_REFERRAL: Words(
        "alert-triangle",
        "red",
        "See a doctor about this spot within 2 weeks.",
        [
            "Our computer saw signs in your {photo} that can mean skin cancer.",
            "Some spots with these signs are harmless. Only a doctor can tell you for sure.",
            "If it is skin cancer, it is easier to treat when it is found early. So please do not wait.",
        ],
        [
            "Call your doctor or your clinic today or on the next working day.",
            "Ask for an urgent visit, within 2 weeks. Show them this page.",
            "Call again if you have no date after 2 days.",
            "Do not wait to see if the spot changes. Do not try to treat it yourself.",
        ],
    ),
    Advice.ROUTINE_REFERRAL: Words(
        "calendar-event",
        "orange",
        "See a doctor about this spot in the next 4 to 6 weeks.",
        [
            "Our computer saw something in your {photo} that a doctor should look at.",
            "It is not an emergency. Many spots like this turn out to be harmless, but a doctor should make sure.",
        ],
        [
            "Call your doctor or your clinic this week. Ask for a visit in the next 4 to 6 weeks.",
            "Show them this page.",
            "Keep an eye on the spot until then. Call sooner if it changes in one of the ways below.",
        ],
    ),
    Advice.SELF_MONITOR: Words(
        "eye",
        "green",
        "We saw no strong signs of skin cancer in {this} {photo}. Keep an eye on the spot.",
        [
            "A computer looked at your {photo}. It can be wrong, and a photo does not show everything.",
            "Spots can change. So please check the spot yourself.",
        ],
        [
            "If it already bleeds, itches, hurts or has not healed in 4 weeks, see a doctor.",
            "Look at the spot once a month, in good light. Take a photo each time, so that you can compare.",
            "See a doctor if it changes in one of the ways below.",
            "See a doctor at any time if the spot worries you. You know your skin best.",
        ],
    ),
}

CHANGES = (
    "One half comes to look different from the other half.",
    "The edge becomes uneven or blurred.",
    "It gets a new colour, or more than one colour.",
    "It becomes wider than 6 mm. That is about as wide as a pencil.",
    "It grows, itches, hurts, bleeds or gets a crust.",
    "It becomes a sore that does not heal.",
)
"""The ABCDE of melanoma (asymmetry, border, colour, diameter, evolving) and the sore of a carcinoma, in plain words."""

NOT_A_DIAGNOSIS = "This is not a diagnosis. It is help from a computer. Only a doctor can say what the spot is."
NOT_FOR_EMERGENCIES = "LesionLens is not for emergencies."
HELP_NOW = (
    "Call 112 or 999, or the emergency number where you are, if you feel very ill or the spot bleeds and does not stop."
)
TRAINING = (
    "The computer's answers get better when it learns from more photos. You can say if it may learn from yours.",
    "If it may, people who help your clinic can look at your photos and say what they show. "
    "They see your age and where the spot is, but are not told who you are.",
    "Photos that it learns from may be kept for longer than others.",
    "You can change your mind at any time, and delete your photos. What the computer has learned by then stays.",
)
"""What is done with photos besides answering them, as docs/retention.md says it: only where their patient agrees."""
ALLOW_TRAINING = "Yes, the computer may also learn from my photos."
TRAINING_IS_OPTIONAL = "You do not have to tick this box. Your result is the same without it."
MAY_LEARN = "The computer may learn from your photos."
MAY_NOT_LEARN = "The computer does not learn from your photos."

DAYS_TO_WAIT = 5  # for the clinic, before a patient asks
ONE_ANSWER = (
    "There is one answer for your {photo}. "
    "If you can see more than one spot there, we cannot say which one it is about. Please have each of them checked."
)
SEEN_BY_CLINIC = "A person at your clinic looked at this result before we sent it to you."
NOT_SEEN = "No doctor has looked at this result yet."

CHECKED_AGAIN = "Checked again since. Ask your clinic."

NO_SKIN_CAMERA = (
    "Our computer has learned from pictures taken with a skin doctor's camera. "
    "Nobody has tested how well it reads photos from a phone, so it may be wrong more often."
)

AGREED = "Our computer looks at each photo in more than one way. This time the answers were close to each other."
DIFFERED = (
    "Our computer looks at each photo in more than one way. This time the answers were not quite the same. "
    "So the true number may be a bit higher or lower."
)
FAR_APART = (
    "Our computer looks at each photo in more than one way. This time the answers were far apart. "
    "So please do not rely on the number. Ask a doctor if you are in doubt."
)
NO_SPOT = "Our computer could not see a spot in a photo. So please do not rely on its answer."
NO_NUMBER = (
    "A person at your clinic asked our computer to answer all the same. So we show no number here. "
    "Ask your clinic if you are in doubt."
)
COUNTED_WHERE = (
    "We counted this among photos with more skin cancer than most people have. "
    "So the true number may be lower. What to do stays the same."
)
FOLLOWS_ONE_PHOTO = (
    "This number is for all your photos together. One photo alone showed more, so we ask you to see a doctor."
)


@dataclass(frozen=True)
class Dot:
    """One of 100 in the picture: where its middle is, and whether it stands for skin cancer."""

    x: int
    y: int
    kind: str  # "full", "half" or "empty"


@dataclass(frozen=True)
class Frequency:
    """A probability as people can picture it: so many of 100."""

    sentence: str
    dots: Sequence[Dot]


@dataclass(frozen=True)
class Explanation:
    """All that the result page says."""

    words: Words
    warning: str  # empty but where nobody should rely on the answer
    frequency: Frequency | None  # None where the number says nothing
    one_photo: str  # empty where the number and the advice say the same
    sureness: str  # empty where the computer looked in one way only
    camera: str  # empty for a picture of the kind that the model was measured on
    seen: str

    def sentences(self) -> list[str]:
        """Everything, in the order of the page."""
        number = self.frequency.sentence if self.frequency else ""
        return [
            self.words.answer, self.warning, *self.words.meaning, *self.words.steps, *CHANGES, number,
            self.one_photo, self.sureness, self.camera, self.seen, NOT_A_DIAGNOSIS, HELP_NOW,
        ]  # fmt: skip


def explain(case: Case, result: CaseResult) -> Explanation:
    """The words for a case's result."""
    insisted = any(image.was_unrecognised and not image.reason for image in case.images.all())
    return Explanation(
        words=_of_photos(ADVICE_WORDS[Advice(result.advice)], result.images),
        warning=NO_SPOT if insisted else "",
        frequency=None if insisted else frequency(result.malignant),
        one_photo=FOLLOWS_ONE_PHOTO if result.follows_one_image and not insisted else "",
        sureness=NO_NUMBER if insisted else _sureness(result.uncertainty),
        camera="" if case.capture == Case.Capture.DERMOSCOPIC else NO_SKIN_CAMERA,
        seen=SEEN_BY_CLINIC if case.reviewed_at else NOT_SEEN,
    )


def frequency(malignant: float) -> Frequency:
    """P(malignant) as a number of 100 spots; never none of them and never all, because nobody can know that."""
    count = min(99, round(malignant * 100))
    if malignant > 0.99:
        number = "more than 99"
    elif malignant < 0.01:
        number, count = "fewer than 1", 0
    else:
        number = f"about {count}"
    verb = "is" if number in ("about 1", "fewer than 1") else "are"
    sentence = f"Of 100 spots that look like this to our computer, {number} {verb} skin cancer or can turn into it."
    dots = [Dot(7 + 14 * (i % 10), 7 + 14 * (i // 10), _kind(i, count)) for i in range(100)]
    return Frequency(f"{sentence} {COUNTED_WHERE}", dots)


def _of_photos(words: Words, count: int) -> Words:
    said = {"this": "this", "photo": "photo"} if count == 1 else {"this": "these", "photo": "photos"}
    meaning = [sentence.format(**said) for sentence in (*words.meaning, ONE_ANSWER)]
    return replace(words, answer=words.answer.format(**said), meaning=meaning)


def _kind(place: int, count: int) -> str:
    if place < count:
        return "full"
    return "half" if count == 0 and place == 0 else "empty"


def _sureness(uncertainty: float | None) -> str:
    if uncertainty is None:
        return ""
    if uncertainty < CLOSE:
        return AGREED
    return DIFFERED if uncertainty < NEAR else FAR_APART
