"""The plots of an assessment, each from numbers to a file: SVG for the suffix `.svg`, else PNG.

Colours are those that colour-blind readers can tell apart. Sources: Okabe and Ito, Color Universal Design, 2008, with
wine by Tol, Colour Schemes, 2021, for their yellow, which is faint on white.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ml.assess.conformal import COVERAGE, Coverage
from ml.assess.subgroups import Subgroup
from ml.metrics import (
    BINS,
    Scored,
    average_precision,
    class_auc,
    class_average_precision,
    confusion,
    counts_above,
    ece,
    equal_mass_bins,
    malignant_auc,
    malignant_ece,
    measure_mean,
)
from ml.metrics.measured import Measured, label

COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#882255", "#999999")
INK: Final = "#222222"
STYLE: Final = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "assessment",  # the same numbers give the same file
}
VALIDATION: Final = "val_"


def training_curves(epochs: Sequence[Mapping[str, float]], path: Path, title: str = "") -> None:
    """How a member was fitted: one dict for each epoch, as `ml.training.history` gives them. Keys with `loss` go to one
    panel, other metrics to a second; with the prefix VALIDATION a line is dashed and its dots are hollow.
    """
    names = [name for name in epochs[0] if name != "epoch"]
    panels = [[name for name in names if "loss" in name], [name for name in names if "loss" not in name]]
    panels = [panel for panel in panels if panel]
    with _drawn(path, 4.4 * len(panels), 3.2, columns=len(panels)) as axes:
        number = np.arange(1, len(epochs) + 1)
        for axis, panel in zip(axes, panels, strict=True):
            plain = [name.removeprefix(VALIDATION) for name in panel]
            order = list(dict.fromkeys(plain))
            for name, base in zip(panel, plain, strict=True):
                held_out = name.startswith(VALIDATION)
                told = f"{base.replace('_', ' ')}, {'validation' if held_out else 'train'}"
                colour = COLOURS[order.index(base) % len(COLOURS)]
                values, line = [epoch[name] for epoch in epochs], "--" if held_out else "-"
                inside = "white" if held_out else colour
                axis.plot(number, values, line, color=colour, marker="o", ms=4, mfc=inside, label=told)
            axis.set_xlabel("epoch")
            axis.set_ylabel("loss (nats)" if "loss" in panel[0] else "metric")
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.grid(axis="y", alpha=0.25)
            axis.legend()
        axes[0].set_title(title)


def confusion_matrix(scored: Scored, path: Path) -> None:
    """Counts, and the share of the row that each is, by which the cells are shaded."""
    codes, counts = scored.taxonomy.codes, confusion(scored)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    with _drawn(path, max(4.4, 1.6 + 0.72 * len(codes)), 1.2 + 0.62 * len(codes)) as (axis,):
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for row, column in np.ndindex(counts.shape):
            share = shares[row, column]
            text = f"{counts[row, column]}\n{share:.0%}" if counts[row, column] else "·"
            axis.text(column, row, text, ha="center", va="center", fontsize=8.5, color="white" if share > 0.55 else INK)
        axis.set_xticks(range(len(codes)), codes)
        names = [f"{code} ({total})" for code, total in zip(codes, totals[:, 0], strict=True)]
        axis.set_yticks(range(len(codes)), names)
        axis.set(xlabel="named", ylabel="true (images)", title="Images, and their share of the row")


def roc_and_precision_recall(scored: Scored, path: Path) -> None:
    """Both curves of P(malignant), with the operating point, and of each class against all others; a benign class's
    is dashed.
    """
    ones, sick = np.ones(len(scored.labels)), scored.is_malignant
    malignant = (scored.levels[-1], sick, malignant_auc(scored, ones), average_precision(scored, ones))
    curves = {"malignant": malignant} if len(scored.taxonomy.codes) > 2 else {}
    for place, code in enumerate(scored.taxonomy.codes):
        area, precision = class_auc(scored, ones, place), class_average_precision(scored, ones, place)
        curves[code] = scored.levels[place], scored.labels == place, area, precision
    looks: dict[str, dict[str, Any]] = {"malignant": {"color": INK, "lw": 2.6}}
    for code, colour in zip(scored.taxonomy.codes, COLOURS, strict=False):
        looks[code] = {"color": colour, "lw": 1.3, "ls": "-" if code in scored.taxonomy.malignant else "--"}
    with _drawn(path, 9.6, 4.4, columns=2) as (left, right):
        left.plot([0, 1], [0, 1], color="#bbbbbb", lw=1)
        for name, (level, positive, area, precision) in curves.items():
            if not positive.any() or positive.all():
                continue
            hits, alarms = counts_above(level, positive, ones)
            recall = hits / hits[-1]
            left.plot(np.r_[0, alarms / alarms[-1]], np.r_[0, recall], label=f"{name} {area:.3f}", **looks[name])
            right.plot(recall, hits / (hits + alarms), label=f"{name} {precision:.3f}", **looks[name])
        ring = {"marker": "o", "color": INK, "ms": 8, "mfc": "white", "mew": 2, "ls": "", "zorder": 5}
        if sick.any() and scored.referred.any() and not sick.all():
            reached = scored.referred[sick].mean()
            left.plot(scored.referred[~sick].mean(), reached, label="operating point", **ring)
            right.plot(reached, sick[scored.referred].mean(), **ring)
        _label(left, "1 − specificity", "sensitivity", "ROC; area under the curve")
        _label(right, "recall (sensitivity)", "precision", "Precision and recall; average precision")
        for axis, corner in ((left, "lower right"), (right, "lower left")):
            axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
            axis.legend(loc=corner, fontsize=8, frameon=True, edgecolor="none", framealpha=0.8)


def reliability(scored: Scored, path: Path) -> None:
    """How often answers of a stated probability are right: the top class's in bins of equal width, and P(malignant)
    in bins of equal mass, with intervals by lesion; below, the images in each bin.
    """
    ones = np.ones(len(scored.labels))
    top = scored.probabilities.max(axis=1)
    right = scored.probabilities.argmax(axis=1) == scored.labels
    places = np.minimum((top * BINS).astype(int), BINS - 1)
    panels = [
        ("Top class", "its probability", top, right, places, ece(scored, ones)),
        ("Malignant", "P(malignant)", scored.p_malignant, scored.is_malignant, equal_mass_bins(scored, ones),
         malignant_ece(scored, ones)),
    ]  # fmt: skip
    with _drawn(path, 8.4, 5.0, columns=2, rows=2, ratios=(3, 1)) as axes:
        for (title, what, stated, true, place, error), upper, lower in zip(panels, axes[:2], axes[2:], strict=True):
            bins = [place == bin_ for bin_ in np.unique(place)]
            images = [inside.sum() for inside in bins]
            confidence = [stated[inside].mean() for inside in bins]
            observed = [measure_mean(true[inside], scored.lesions[inside]) for inside in bins]
            upper.plot([0, 1], [0, 1], color="#bbbbbb", lw=1)
            upper.vlines(confidence, [one.low for one in observed], [one.high for one in observed], COLOURS[0], lw=1)
            upper.plot(confidence, [one.value for one in observed], "o", color=COLOURS[0], ms=5)
            _label(upper, "", "share that is true", f"{title}: expected calibration error {error:.3f}")
            upper.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
            lower.bar(confidence, images, width=0.012, color=COLOURS[0])
            _label(lower, f"{what}, mean of the bin", "images", "")
            lower.set(xlim=(-0.02, 1.02))


def conformal_coverage(rows: Sequence[Coverage], path: Path) -> None:
    """The share of sets that hold the true class, and how many classes they hold, over all images and in each class."""
    with _drawn(path, 8.4, 1.2 + 0.34 * len(rows), columns=2) as (left, right):
        names = [f"{row.group} ({row.images})" for row in rows]
        left.axvline(COVERAGE, color=COLOURS[3], lw=1.2, ls="--")
        _dots(left, names, [row.coverage for row in rows])
        _dots(right, [""] * len(rows), [row.set_size for row in rows])
        _label(left, "share of sets that hold the true class", "", f"Coverage (dashed: {COVERAGE:.0%} promised)")
        _label(right, "classes in a set, mean", "", "Size of the sets")
        left.set_xlim(right=1.02)
        right.set_xlim(left=0)


def subgroup_forest(rows: Sequence[Subgroup], metric: str, overall: Measured, path: Path) -> None:
    """One metric in each subgroup with its interval, beside that of all images."""
    with _drawn(path, 6.6, 1.3 + 0.25 * len(rows)) as (axis,):
        names = [f"{row.attribute} {row.value} ({row.malignant_lesions} of {row.lesions})" for row in rows]
        axis.axvspan(overall.low, overall.high, color=COLOURS[0], alpha=0.15, lw=0)
        axis.axvline(overall.value, color=COLOURS[0], lw=1.2)
        measured = [row.metrics[metric] for row in rows]
        _dots(axis, names, measured)
        for place, one in enumerate(measured):
            if np.isnan(one.value):
                look = {"fontsize": 8, "color": "#555555", "ha": "right", "va": "center"}
                axis.text(0.99, place, "not determined", transform=axis.get_yaxis_transform(), **look)
        for place in range(1, len(rows)):
            if rows[place].attribute != rows[place - 1].attribute:
                axis.axhline(place - 0.5, color="#cccccc", lw=0.8)
        title = "Line and band: all images, 95 % interval"
        _label(axis, label(metric), "malignant lesions of all lesions", title)


@contextmanager
def _drawn(
    path: Path, width: float, height: float, *, columns: int = 1, rows: int = 1, ratios: Sequence[float] | None = None
) -> Iterator[list[Any]]:
    """Axes to draw on, row by row, of a figure of `width` and `height` inches that is then saved."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield list(figure.subplots(rows, columns, squeeze=False, height_ratios=ratios).ravel())
        if path.suffix == ".svg":
            figure.savefig(path, metadata={"Date": None})
        else:
            file = BytesIO()
            figure.savefig(file, format="png", dpi=120)
            Image.open(file).convert("RGB").quantize(64).save(path, "PNG", optimize=True)


def _label(axis: Any, x: str, y: str, title: str) -> None:
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.set_title(title)
    axis.grid(alpha=0.25)


def _dots(axis: Any, names: Sequence[str], measured: Sequence[Measured]) -> None:
    """One row for each name, the first on top; what is not determined stays empty."""
    for place, one in enumerate(measured):
        axis.plot([one.low, one.high], [place, place], color=INK, lw=1.4)
        axis.plot(one.value, place, "o", color=INK, ms=5)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
