"""A recipe measured as its authors measured, beside their own figures, and what that is worth."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ml.classes import Taxonomy
from ml.metrics.measured import Measured, plain
from ml.model_card import untold_lesions
from ml.recipes import measures
from ml.recipes.fitting import Fitted
from ml.recipes.sides import Sides


@dataclass(frozen=True)
class AsAuthors:
    """The test images of a split by image: how many, for how many of them the model has seen another image of the same
    lesion (or a copy of the image itself, also through a teacher or a start), how many the segmenter has seen that
    blanks their skin, and `ml.recipes.measures.MEASURES` on all of them, on those that leaked, and on the others, with
    the share of malignant images among those and among the others.
    """

    images: int
    leaked_images: int
    outlined_images: int
    malignant_leaked: float
    malignant_new: float
    everything: dict[str, Measured]
    leaked: dict[str, Measured]
    new: dict[str, Measured]

    @property
    def share(self) -> float:
        """The part of the test images that leaked."""
        return self.leaked_images / self.images


def as_authors(
    fitted: Fitted, sides: Sides, taxonomy: Taxonomy, leaked: np.ndarray, *, outlined: int, draws: int
) -> AsAuthors:
    """Measures the test side of a split by image; `leaked` bool (n,) are the images that the model knows, and so many
    of all are `outlined` by a segmenter that knows them.
    """
    scored = fitted.plain(fitted.ensemble.in_batches(sides.test.pixels).logits, sides.test, taxonomy)
    return AsAuthors(
        images=len(scored.labels),
        leaked_images=int(leaked.sum()),
        outlined_images=outlined,
        malignant_leaked=_share(scored.is_malignant[leaked]),
        malignant_new=_share(scored.is_malignant[~leaked]),
        everything=measures.measured(scored, draws),
        leaked=measures.measured(scored.take(leaked), draws),
        new=measures.measured(scored.take(~leaked), draws),
    )


def section(
    reported: Mapping[str, float],
    compared: AsAuthors | None,
    honest: Mapping[str, Measured],
    lone_images: int,
    patients_known: bool,
) -> list[str]:
    """Lines for the card: the authors' figures, (a) the same measure on their split, (b) on the split by lesion. Of
    `lone_images` of the data nobody says which of them show one lesion, but whose they are where `patients_known`.
    """
    if compared is None:
        return []
    leaked = f"at least {compared.leaked_images}" if lone_images else compared.leaked_images
    return [
        "## Beside its authors' figures",
        "",
        f"Their way divides the data by image: for {leaked} of the {compared.images} test images "
        f"({compared.share:.0%})",
        "the model has already seen the same lesion. Column (a) is their way, the next two take it apart, and in",
        "column (b) no lesion is on two sides. In all of them the most probable class is named.",
        *_outlined(compared),
        *untold_lesions(lone_images, patients_known),
        "",
        "Lesions that were photographed several times are other lesions than the rest: of the images whose lesion was",
        f"seen before {compared.malignant_leaked:.0%} are malignant, of the others {compared.malignant_new:.0%}. So",
        "these columns differ by difficulty as well as by the leak, and the step from (a) to (b) is what counts.",
        "",
        *measures.table(
            reported,
            {
                "(a) split by image": compared.everything,
                "(a), lesion seen before": compared.leaked,
                "(a), lesion new": compared.new,
                "(b) split by lesion": honest,
            },
        ),
        "",
    ]


def facts(reported: Mapping[str, float], compared: AsAuthors | None, honest: Mapping[str, Measured]) -> dict[str, Any]:
    """The same as plain numbers for the manifest."""
    return {
        "reported": dict(reported),
        "as_authors": None if compared is None else plain(asdict(compared)),
        "by_lesion": {name: plain(asdict(one)) for name, one in honest.items()},
    }


def _outlined(compared: AsAuthors) -> list[str]:
    count = compared.outlined_images
    if not count:
        return []
    return [
        f"The network that blanks the skin has seen {count} of these test images ({count / compared.images:.0%}): that",
        "is no part of the number before, nor of the columns that take (a) apart.",
    ]


def _share(hits: np.ndarray) -> float:
    return float(hits.mean()) if len(hits) else float("nan")
