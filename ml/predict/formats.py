"""The files that predictions are written to."""

import csv
import json
from collections.abc import Callable, Iterator
from typing import Any, Final, TextIO

from ml.classes import CLASSES
from ml.imaging.preprocess import VERSION
from ml.imaging.refusal import ImageRefused
from ml.predict.judged import Judged
from ml.runtime import Runtime

Answers = Iterator[tuple[str, Judged | ImageRefused]]
"""Image ids with their answers, one at a time, so that no file's worth of them is ever held."""

Write = Callable[[TextIO, Runtime, Answers], None]

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is a formula to a spreadsheet."""

UNDECIDED: Final = [1 / len(CLASSES)] * len(CLASSES)


def write_isic2018(file: TextIO, runtime: Runtime, answers: Answers) -> None:
    """The submission of the ISIC 2018 challenge, task 3: `image` and the seven classes, values in [0, 1].

    The challenge is scored by balanced accuracy, so the values are `Prediction.decision`: those behind the class named
    when all classes count the same, which is the largest. They are not the calibrated probabilities of the format csv.
    A refused image has the same value for every class, since the challenge's scorer takes no submission without a row
    for each image, and counts such a row as undecided, which is wrong for every class.
    """
    table = csv.writer(_Lines(file))
    table.writerow(["image", *CLASSES])
    for image_id, answer in answers:
        if isinstance(answer, ImageRefused):
            values = UNDECIDED
        else:
            values = [answer.prediction.decision[code] for code in CLASSES]
        # Always with a point: the scorer refuses a column of whole numbers.
        table.writerow([image_id, *(f"{value:.9f}" for value in values)])


def write_csv(file: TextIO, runtime: Runtime, answers: Answers) -> None:
    """A row for each image: the calibrated probability of each class of the bundle, P(malignant), its uncertainty in
    the same unit (empty of a bundle with one member), the class named, the classes that cannot be left out (see
    `Prediction.plausible`), `yes` where the picture was recognised as a lesion, the codes of the quality check, the
    advice, and the code of a refusal, whose row is empty otherwise.

    A picture that was not recognised, or that the quality check has a code for, has neither a diagnosis nor advice: its
    numbers mean nothing. An image's id that a spreadsheet would take for a formula is quoted for it.
    """
    codes = runtime.bundle.taxonomy.codes
    numbered = [*codes, "malignant", "uncertainty"]
    columns = ["image", *numbered, "diagnosis", "plausible", "recognised", "quality", "advice", "error"]
    table = csv.DictWriter(_Lines(file), columns)
    table.writeheader()
    for image_id, answer in answers:
        if isinstance(answer, ImageRefused):
            table.writerow({"image": _cell(image_id), "error": answer.code})
            continue
        said = answer.prediction
        numbers = {**said.probabilities, "malignant": said.malignant, "uncertainty": said.uncertainty}
        table.writerow(
            {
                "image": _cell(image_id),
                **{name: "" if value is None else f"{value:.6f}" for name, value in numbers.items()},
                "diagnosis": answer.diagnosis or "",
                "plausible": " ".join(said.plausible),
                "recognised": "yes" if said.recognised else "no",
                "quality": " ".join(answer.quality),
                "advice": answer.advice or "",
            }
        )


def write_json(file: TextIO, runtime: Runtime, answers: Answers) -> None:
    """One object: the release's name, the bundle's hash, the preprocessing's version, the classes, and a list of
    images, each with everything of a Prediction and the codes of the quality check, or with the code and the sentence
    of its refusal in `error`. Bytes of a file's name that are no UTF-8 are \\udcXX, as in the other formats.
    """
    facts = {
        "release": runtime.bundle.name,
        "bundle": runtime.bundle.hash,
        "preprocessing": VERSION,
        "classes": runtime.bundle.taxonomy.codes,
    }
    file.write(f'{json.dumps(facts)[:-1]}, "images": [')
    separator = "\n"
    for image_id, answer in answers:
        named = image_id.encode("utf-8", "backslashreplace").decode()
        file.write(separator + json.dumps({"image": named, **_plain(answer)}))
        separator = ",\n"
    file.write("\n]}\n")


class _Lines:
    """Rows that end in a line feed alone. The writer thinks that they end in a carriage return too, since it quotes
    one in a cell only then, and a reader would take it for the end of the row.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> None:
        """Writes one whole row, as a `csv.writer` gives it."""
        self._file.write(row.removesuffix("\r\n") + "\n")


def _plain(answer: Judged | ImageRefused) -> dict[str, Any]:
    if isinstance(answer, ImageRefused):
        return {"error": {"code": answer.code, "sentence": answer.message}}
    return {
        **vars(answer.prediction),
        "diagnosis": answer.diagnosis,
        "quality": answer.quality,
        "advice": answer.advice,
        "heatmap": [[round(float(heat), 3) for heat in row] for row in answer.prediction.heatmap],
    }


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text
