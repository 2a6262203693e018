"""One assessment of a release from arrays, as plain numbers for a manifest, as a page to read, and as plots."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from ml.assess import chance, conformal, markdown, not_lesions, plots, robustness, subgroups
from ml.assess.conformal import Coverage
from ml.assess.not_lesions import Rate
from ml.assess.robustness import Cost
from ml.assess.subgroups import Subgroup
from ml.metrics import ALL_METRICS, DRAWS, Scored, class_metrics, confusion, measure, measure_mean
from ml.metrics.measured import Measured, plain

FOREST: Final = "malignant_auc"
SHARPER: Final = "sharper middle"


@dataclass(frozen=True)
class ClassRow:
    """One class: its images and lesions, and the metrics of `ml.metrics.class_metrics`."""

    code: str
    images: int
    lesions: int
    metrics: dict[str, Measured]


@dataclass(frozen=True)
class Assessment:
    """What a release is worth on images that it has never seen; a part that was not measured is empty.

    `by_chance` is what `metrics` would say of right probabilities (see `ml.assess.chance`). `lesions_flagged` is the
    share of the test images that were told as no lesion. `heat` is the mean share of a heatmap's mass inside the
    lesion's mask, for each member, for all of them, and for heatmaps that know nothing. `caveats` are sentences on what
    the data leave untold.
    """

    name: str
    codes: list[str]
    malignant: list[str]
    operating_point: float
    images: int
    lesions: int
    malignant_lesions: int
    metrics: dict[str, Measured]
    by_chance: dict[str, Measured]
    classes: list[ClassRow]
    confusion: list[list[int]]
    quantiles: list[float]
    coverage: list[Coverage]
    degradations: list[Cost]
    artefacts: list[Cost]
    sharper: list[Cost]
    not_lesions: list[Rate]
    lesions_flagged: Measured | None
    subgroups: list[Subgroup]
    heat: dict[str, Measured]
    caveats: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: plain numbers with six decimals (quantiles and the operating point in full), None where a metric
        is not determined.
        """
        exact = {"quantiles": self.quantiles, "operating_point": self.operating_point}
        return {**plain(asdict(self), 6), **exact}


def assess(
    scored: Scored,
    name: str,
    *,
    table: pd.DataFrame | None = None,
    quantiles: Sequence[float] = (),
    degraded: Mapping[str, Scored] | None = None,
    artefacts: Mapping[str, Scored] | None = None,
    sharper: tuple[Scored, Scored] | None = None,
    flags: Mapping[str, np.ndarray] | None = None,
    lesions_flagged: np.ndarray | None = None,
    heat: Mapping[str, np.ndarray] | None = None,
    caveats: Sequence[str] = (),
    draws: int = DRAWS,
) -> Assessment:
    """Measures all that is given, on n test images that nothing was fitted to.

    `table` are their rows, for the subgroups; `quantiles` what `conformal.fit` gave on validation images; `degraded`
    and `artefacts` the answers to the same images changed, by the change's name; `sharper` the answers to those
    of them that a sharper copy is known of, without it and with it; `flags` bool (m,) for each kind of
    `not_lesions`, whether a picture was told as no lesion, and `lesions_flagged` bool (n,) the same of the test
    images; `heat` float (n,) by whose heatmap it is, the share of its mass inside the mask, NaN without heat or mask;
    `caveats` sentences on what the data leave untold, as `ml.model_card.untold` gives them.
    Raises ValueError where the images of two of them differ.
    """

    def mean(values: np.ndarray) -> Measured:
        return measure_mean(values, scored.lesions, draws)

    coverage: list[Coverage] = []
    if len(quantiles):
        held = conformal.sets(scored.probabilities, quantiles)
        coverage = conformal.coverage(scored, held, draws)
    return Assessment(
        name=name,
        codes=list(scored.taxonomy.codes),
        malignant=list(scored.taxonomy.malignant),
        operating_point=float(scored.operating_point),
        images=len(scored.labels),
        lesions=len(set(scored.lesions)),
        malignant_lesions=len(set(scored.lesions[scored.is_malignant])),
        metrics=measure(scored, draws, ALL_METRICS),
        by_chance=chance.calibration_errors(scored, draws),
        classes=_classes(scored, draws),
        confusion=confusion(scored).tolist(),
        quantiles=[float(quantile) for quantile in quantiles],
        coverage=coverage,
        degradations=robustness.costs(scored, degraded or {}, draws),
        artefacts=robustness.costs(scored, artefacts or {}, draws),
        sharper=robustness.costs(sharper[0], {SHARPER: sharper[1]}, draws) if sharper else [],
        not_lesions=not_lesions.rates(flags or {}),
        lesions_flagged=None if lesions_flagged is None else mean(lesions_flagged),
        subgroups=[] if table is None else subgroups.rows(scored, table, draws),
        heat={whose: mean(shares) for whose, shares in (heat or {}).items()},
        caveats=list(caveats),
    )


def curves(member: str) -> str:
    """The name of the file with a member's training curves."""
    return f"training_{member}.png"


def write(
    assessment: Assessment,
    scored: Scored,
    folder: Path,
    training: Mapping[str, Sequence[Mapping[str, float]]] | None = None,
) -> None:
    """Writes `assessment.json`, `assessment.md` and its plots as PNG to `folder`, which is made.

    `scored` is what `assess` was given, and `training` the epochs of each member, as `plots.training_curves` takes
    them; curves that lie there already are shown too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown = ["confusion.png", "curves.png", "reliability.png"]
    plots.confusion_matrix(scored, folder / "confusion.png")
    plots.roc_and_precision_recall(scored, folder / "curves.png")
    plots.reliability(scored, folder / "reliability.png")
    if assessment.coverage:
        plots.conformal_coverage(assessment.coverage, folder / "coverage.png")
        shown.append("coverage.png")
    if assessment.subgroups:
        plots.subgroup_forest(assessment.subgroups, FOREST, assessment.metrics[FOREST], folder / "subgroups.png")
        shown.append("subgroups.png")
    for member, epochs in (training or {}).items():
        plots.training_curves(epochs, folder / curves(member), member)
    shown += sorted(path.name for path in folder.glob(curves("*")))
    (folder / "assessment.md").write_text(markdown.render(assessment.as_dict(), shown))
    (folder / "assessment.json").write_text(json.dumps(assessment.as_dict(), indent=2, allow_nan=False) + "\n")


def _classes(scored: Scored, draws: int) -> list[ClassRow]:
    rows = []
    for place, code in enumerate(scored.taxonomy.codes):
        inside = scored.labels == place
        measured = measure(scored, draws, class_metrics(place))
        rows.append(ClassRow(code, int(inside.sum()), len(set(scored.lesions[inside])), measured))
    return rows
