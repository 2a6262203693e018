"""What the card of a retrained bundle says of the labels that it learnt from and was measured on."""

from typing import Final

from ml.data.examples import Examples

TRUTH: Final = (
    "Right is what annotators named from the photo alone, where two agreed or one settled it: no histology.",
    "Images on which they still disagree are not in it, so hard ones are missing; nor, mostly, are pictures that the "
    "bundle before turned away as no lesion, so turning away counts against this one more than against that.",
)


def sentences(train: Examples, validation: Examples, test: Examples, refit: bool) -> list[str]:
    """On the examples of a snapshot; `refit` says whether the stack and the thresholds were fitted anew."""
    rows = [side.rows for side in (train, validation, test)]
    by_patient = sum(int((side["lesion_id"] == side["patient_id"]).sum()) for side in rows)
    unnamed = f"The lesion of {by_patient} images is not named: those of one patient count as one."
    return [
        "The stack and the thresholds were refitted on the validation images that chance chose."
        if refit
        else "The stack and the thresholds are unchanged: they were fitted to the members as these were before, so its "
        "probabilities and its sets of plausible classes were not calibrated for it.",
        "Measured on test images that chance chose."
        if test.rows["drawn"].all()
        else "Measured on test images of which some were chosen where a model doubted, so the figures are theirs and "
        "not those of everyday use.",
        *TRUTH,
        *([unnamed] if by_patient else []),
        "Lesions of one patient count as independent of each other.",
    ]


def nobodys(train: Examples) -> int:
    """Of how many images neither the lesion nor the patient is named; see `ml.data.snapshot`."""
    rows = train.rows
    return int(((rows["lesion_id"] == rows["image_id"]) & (rows["patient_id"] == "")).sum())
