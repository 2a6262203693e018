"""The model card: what a bundle is, what it was measured to do, and what it must not be used for, written from
numbers alone.

Source: Mitchell et al., Model Cards for Model Reporting, FAT* 2019, arXiv:1810.03993.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml.assess.subgroups import Subgroup
from ml.bundle import Bundle, Member
from ml.classes import EIGHT, SEVEN, Taxonomy, class_in_sentence
from ml.metrics.measured import ends, label, unmeasured, words

LABELLED_HERE: Final = (
    "Its members have learnt also from images that were labelled where it was retrained, such as a clinic's photos: "
    "ask whose they are, and on what terms, before you hand it on."
)
"""For the licence of a bundle that was retrained; it goes on into those of the bundles that go on from it, and their
cards know them by it.
"""


def write(
    *,
    name: str,
    members: Sequence[Member],
    thresholds: Mapping[str, float],
    malignant_share: float | None = None,
    origin: Sequence[str],
    evaluation: Mapping[str, Any],
    licence: str,
    taxonomy: Taxonomy = SEVEN,
    comparison: Sequence[str] = (),
    figures: str = "",
    subgroups: Sequence[Subgroup] = (),
    lone_images: int = 0,
    patients_known: bool = False,
    unnamed_patients: int = 0,
    nobodys: int = 0,
    ancestors: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Markdown. `origin` are sentences on data and training; `evaluation` is `ml.evaluate.Evaluation.as_dict()`;
    `comparison` are the lines of a section beside somebody's figures, `figures` is the path of a page with plots, and
    `subgroups` are those of that page. `malignant_share` is that of `ml.calibration.Calibration`. Of `lone_images` of
    the data nobody says which of them show one lesion, but whose they are where `patients_known`; of
    `unnamed_patients` images not whose they are; of `nobodys`, which it learnt from, neither. `ancestors` are those of
    `lineage`.
    """
    classes = ", ".join(f"{code} ({class_in_sentence(code)})" for code in taxonomy.codes)
    spread = ", its standard deviation over the\nmembers" if len(members) > 1 else ""
    lines = [
        f"# {name}",
        "",
        "Supports a professional's decision about one skin lesion; it never replaces one and is not a medical device.",
        "",
        "## What it is",
        "",
        f"A stacked logistic regression over {', '.join(member.name for member in members)}.",
        f"It gives probabilities of {len(taxonomy.codes)} classes, P(malignant){spread} and a heatmap. "
        f"Classes: {classes}. Malignant: {', '.join(taxonomy.malignant)}.",
        "",
        f"Advice: urgent referral from P(malignant) {thresholds['urgent_referral']:.3f}, routine referral from "
        f"{thresholds['routine_referral']:.3f} (the operating point), else self-monitoring.",
        "",
        "## Where it comes from",
        "",
        *(f"- {sentence}" for sentence in origin),
        "",
        "## What it was measured to do",
        "",
        f"On {evaluation['images']} images of {evaluation['lesions']} lesions "
        f"({evaluation['malignant_lesions']} malignant) that share no "
        f"{'lesion that is named' if nobodys else 'lesion'} with anything it was fitted to;",
        f"{evaluation['dropped_seen']} more were dropped because their fingerprint matches an image that it had seen.",
        "Intervals: 95 %, bootstrap by lesion. In sensitivity and specificity, a lesion that the model takes for no",
        "lesion counts as an error.",
        *untold(lone_images, patients_known, unnamed_patients),
        *_nobodys(nobodys),
        "",
        "| metric | value | 95 % interval |",
        "|---|---|---|",
        *(_row(name, measured) for name, measured in evaluation["metrics"].items() if _applies(name, taxonomy)),
        "",
        *_told(unmeasured(evaluation["images_of_class"])),
        *_excised(subgroups, evaluation["images"]),
        *([f"[Plots and more measurements]({figures}).", ""] if figures else []),
        *comparison,
        "## Limits",
        "",
        *_learnt_from(licence),
        f"- It gives one of {len(taxonomy.codes)} classes to every lesion, also to a kind that it has never seen.",
        "  It may also answer a picture that shows no lesion: it answers most pictures of bare skin. Photos of other",
        "  things were not measured.",
        *_missing(taxonomy),
        "- It is for one lesion that fills a good part of the picture. Several get one answer together. Below a tenth",
        "  of the picture, the smaller a lesion is the more harmless it looks: so measured with a release, not with",
        "  this bundle.",
        *_calibrated_where(malignant_share),
        "- A low P(malignant) does not rule cancer out: a changing lesion needs a doctor whatever the answer.",
        "",
        "## Licence",
        "",
        licence,
        "",
        *_inherited(ancestors),
    ]
    return "\n".join(lines)


def lineage(parent: Bundle) -> list[dict[str, Any]]:
    """The bundle that members go on from and those before it, nearest first: the `name` of each, `bundle` (its hash)
    and `origin`, what it says of itself.
    """
    known = {"name": parent.name, "bundle": parent.hash, "origin": parent.manifest.get("origin", [])}
    return [known, *parent.manifest.get("ancestors", [])]


def untold_lesions(lone_images: int, patients_known: bool) -> list[str]:
    """What figures are worth where nobody says which of so many images show one lesion. Where their patients are known,
    a split leaves each of these on one side; so it does where nothing was divided.
    """
    if not lone_images:
        return []
    two_sides = "" if patients_known else ": images of one lesion may lie on two sides, which flatters"
    return [
        f"Of {lone_images} images of the data it is not known which show one lesion, so each counts as a lesion",
        f"of its own{two_sides}, and the intervals are too narrow.",
    ]


def untold(lone_images: int, patients_known: bool, unnamed_patients: int, *, divided: bool = True) -> list[str]:
    """`untold_lesions`, and what figures are worth where nobody says whose so many images are; `divided` is whether
    others of the same data were learnt from.
    """
    told = untold_lesions(lone_images, patients_known or not divided)
    if not unnamed_patients:
        return told
    two_sides = "may lie on two\nsides, which flatters, and they count" if divided else "count"
    return [
        *told,
        f"Of {unnamed_patients} images of the data it is not known whose they are: two lesions of one patient "
        f"{two_sides} as independent of each other, which makes the intervals too narrow.",
    ]


def _nobodys(images: int) -> list[str]:
    if not images:
        return []
    return [
        f"Of {images} images that it learnt from neither patient nor lesion is named: some may show a lesion that was",
        "measured, which flatters.",
    ]


def _told(sentence: str) -> list[str]:
    return [sentence, ""] if sentence else []


def _excised(subgroups: Sequence[Subgroup], images: int) -> list[str]:
    """What it is worth where it is in doubt: lesions that were never suspicious make the figures of all look better."""
    excised = [one for one in subgroups if (one.attribute, one.value) == ("dx_type", "histo") and one.images < images]
    return [
        line
        for one in excised
        for line in (
            f"On {one.images} of them, of {one.lesions} lesions ({one.malignant_lesions} malignant) whose class",
            "histology told, so that somebody had found them suspicious enough to cut out:",
            ", ".join(f"{label(name)} {words(vars(measured))}" for name, measured in one.metrics.items()) + ".",
            "",
        )
    ]


def _learnt_from(licence: str) -> list[str]:
    if LABELLED_HERE not in licence:
        return [
            "- Learnt from published images, which are mostly dermoscopic and of light skin.",
            "  Phone photos and dark skin are not measured.",
        ]
    return [
        "- Learnt first from published images, which are mostly dermoscopic and of light skin,",
        "  then from images that were labelled where it was retrained:",
        "  how many of these are phone photos or of dark skin is not known.",
    ]


def _calibrated_where(malignant_share: float | None) -> list[str]:
    if malignant_share is None:
        return []
    return [
        f"- Its probabilities hold where {100 * malignant_share:.0f} % of the pictures are malignant, as in the data",
        "  that they were set on. Where fewer are malignant, the true probability is lower than the one given.",
    ]


def _inherited(ancestors: Sequence[Mapping[str, Any]]) -> list[str]:
    """Only the nearest is repeated: a card does not grow with every generation."""
    if not ancestors:
        return []
    parent, *before = [f"{one['name']} (bundle {one['bundle'][:12]})" for one in ancestors]
    return [
        "## What it goes on from",
        "",
        f"### {parent}",
        "",
        *(f"- {sentence}" for sentence in ancestors[0]["origin"]),
        "",
        *([f"Before it: {', '.join(before)}. The card of each says the rest.", ""] if before else []),
    ]


def _applies(metric: str, taxonomy: Taxonomy) -> bool:
    return metric != "melanoma_auc" or "MEL" in taxonomy.codes


def _missing(taxonomy: Taxonomy) -> list[str]:
    """What the classes leave out."""
    if taxonomy == EIGHT:
        return ["  Other diagnoses have no class."]
    if taxonomy == SEVEN:
        return ["  Other diagnoses, among them squamous cell carcinoma, have no class."]
    return ["  It does not say which disease."]


def _row(metric: str, measured: Mapping[str, float | None]) -> str:
    if measured["value"] is None:
        return f"| {label(metric)} | not determined | |"
    return f"| {label(metric)} | {measured['value']:.3f} | {ends(measured)} |"
