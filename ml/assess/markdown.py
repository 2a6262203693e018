"""An assessment as a page to read, from the numbers of `ml.assess.report.Assessment.as_dict()` alone."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml.metrics.measured import LABELS, UNDETERMINED, label, words

RIGHT: Final = "the same by chance alone, were every probability right"
ATTRIBUTES: Final = {
    "sex": "By sex",
    "age": "By age in years",
    "site": "By site",
    "dx_type": "By how the diagnosis was made",
}
Row = Mapping[str, Any]


def render(numbers: Mapping[str, Any], plots: Sequence[str] = ()) -> str:
    """Markdown with a section for each part that was measured; `plots` are files beside the page."""
    sections = [
        _main(numbers),
        _classes(numbers),
        _confusion(numbers),
        _coverage(numbers["coverage"]),
        _changes("Poor photos", "The same images, each degraded in one way.", numbers["degradations"]),
        _changes(
            "Artefacts", "The same images with something drawn on them that is no evidence.", numbers["artefacts"]
        ),
        _changes(
            "Sharper photos",
            "Those of the images of which a sharper copy of the middle is known, with it in its place.",
            numbers["sharper"],
        ),
        _not_lesions(numbers),
        *(_subgroups(title, numbers["subgroups"], attribute) for attribute, title in ATTRIBUTES.items()),
        _heat(numbers),
        [f"![{file.removesuffix('.png').replace('_', ' ')}]({file})" for file in plots],
    ]
    lines = [f"# Assessment of {numbers['name']}"]
    for section in filter(None, sections):
        lines += ["", *section]
    return "\n".join([*lines, ""])


def _main(numbers: Row) -> list[str]:
    rows = []
    for name in LABELS:
        rows.append((label(name, numbers["codes"], numbers["malignant"]), words(numbers["metrics"][name])))
        if name in numbers["by_chance"]:
            rows.append((RIGHT, words(numbers["by_chance"][name])))
    text = (
        f"{numbers['images']} images of {numbers['lesions']} lesions ({numbers['malignant_lesions']} malignant) "
        f"that nothing was fitted to. The operating point is P(malignant) {numbers['operating_point']:.3f}, set on "
        "other images. In sensitivity and specificity, a lesion that is turned away as none counts as wrong. In "
        "brackets: 95 % intervals, bootstrap by lesion."
    )
    told = "\n\n".join([text, " ".join(numbers["caveats"])]).strip()
    return _section("Metrics", told, ("metric", "value"), rows)


def _classes(numbers: Row) -> list[str]:
    names = ("sensitivity", "auc", "average_precision")
    rows = [
        (row["code"], row["images"], row["lesions"], *(words(row["metrics"][name]) for name in names))
        for row in numbers["classes"]
    ]
    head = ("class", "images", "lesions", "sensitivity", "AUC", "average precision")
    text = "Each class against all others. Sensitivity goes by the class named, even of a lesion turned away as none."
    return _section("Classes", text, head, rows)


def _confusion(numbers: Row) -> list[str]:
    rows = [(code, *counts) for code, counts in zip(numbers["codes"], numbers["confusion"], strict=True)]
    text = "Images of each class (row) by the class named (column)."
    return _section("Confusion", text, ("", *numbers["codes"]), rows)


def _coverage(groups: Sequence[Row]) -> list[str]:
    rows = [
        (row["group"], row["images"], row["lesions"], words(row["coverage"]), words(row["set_size"], 2))
        for row in groups
    ]
    text = "Split-conformal sets, calibrated in each class so that they hold it for 90 % of its images."
    return _section(
        "Sets of classes", text, ("class", "images", "lesions", "sets that hold it", "classes in a set"), rows
    )


def _changes(title: str, sentence: str, costs: Sequence[Row]) -> list[str]:
    names = ("malignant_auc", "sensitivity", "specificity", "balanced_accuracy")
    rows = [
        (
            row["change"].replace("_", " "),
            _number(row["after"]["malignant_auc"]),
            *(words(row["difference"][name], sign="+") for name in names),
            words(row["moved"]),
            words(row["switched"]),
        )
        for row in costs
    ]
    text = (
        f"{sentence} Differences are from the images as they are (a loss is negative), with paired intervals. "
        "Last: how far P(malignant) moved on average, and the share of images that crossed the operating point."
    )
    head = ("change", "AUC, malignant", "difference", "of sensitivity", "of specificity", "of balanced accuracy",
            "moved", "crossed")  # fmt: skip
    return _section(title, text, head, rows)


def _not_lesions(numbers: Row) -> list[str]:
    rows = [
        (row["kind"].replace("_", " "), row["pictures"], words({**row, "value": row["share"]}))
        for row in numbers["not_lesions"]
    ]
    if numbers["lesions_flagged"]:
        rows.append(("the test images, which are lesions", numbers["images"], words(numbers["lesions_flagged"])))
    text = (
        "Pictures drawn by code, and the share told as no lesion (Wilson intervals, each picture counted by itself; of "
        "the test images as they are, bootstrap by lesion). "
        "Bare skin is skin, and only lacks a lesion."
    )
    return _section("What is no lesion", text, ("picture", "pictures", "told as no lesion"), rows)


def _subgroups(title: str, groups: Sequence[Row], attribute: str) -> list[str]:
    names = ("malignant_auc", "sensitivity", "specificity", "melanoma_auc")
    rows = [
        (
            row["value"],
            row["images"],
            row["lesions"],
            row["malignant_lesions"],
            *(words(row["metrics"][name]) for name in names),
        )
        for row in groups
        if row["attribute"] == attribute
    ]
    text = "Not determined: fewer than ten lesions on a side that the metric looks at."
    head = ("group", "images", "lesions", "malignant", "AUC, malignant", "sensitivity", "specificity", "AUC, melanoma")
    return _section(title, text, head, rows)


def _heat(numbers: Row) -> list[str]:
    rows = [(whose, words(measured)) for whose, measured in numbers["heat"].items()]
    text = (
        "The mean share of a heatmap's mass inside the lesion's mask. Most lesions lie in the middle, so that another"
        " picture's heatmap lies on them too; once pictures are moved towards a corner each, it no longer does."
    )
    return _section("Where the heat lies", text, ("heatmap", "inside the mask"), rows)


def _section(title: str, text: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A heading, a sentence and a table; nothing where the table would be empty."""
    if not rows:
        return []
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return [f"## {title}", "", text, "", f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines]


def _number(value: float | None) -> str:
    return UNDETERMINED if value is None else f"{value:.3f}"
