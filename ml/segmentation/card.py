"""The segmenter's model card, written from its manifest alone.

Source: Mitchell et al., Model Cards for Model Reporting, FAT* 2019, arXiv:1810.03993.
"""

from collections.abc import Mapping
from typing import Any, Final

from ml.metrics.measured import ends, words

LABELS: Final = {
    "mean_jaccard": "Mean Jaccard index",
    "failed_share": "Share of images with a Jaccard index below 0.65",
    "threshold_jaccard": "Mean Jaccard index, those below 0.65 counted as 0 (ISIC 2018)",
}


def write(manifest: Mapping[str, Any]) -> str:
    """Markdown, from a manifest of `ml.segmentation.train`."""
    width, height = manifest["input"]["width"], manifest["input"]["height"]
    settings, test = manifest["settings"], manifest["test"]
    lines = [
        f"# {manifest['name']}",
        "",
        "Draws the outline of the lesion in a dermoscopic image. It is used to ask where a classifier's heat lies,",
        "and to show a classifier the lesion alone; it does not measure a lesion's size and is not a medical device.",
        "",
        "## What it is",
        "",
        f"{manifest['architecture']}; the frame is seen at {width} x {height} pixels,",
        "and the answer is the mean over it and its mirror images.",
        "",
        "## Where it comes from",
        "",
        "- HAM10000, whole frames and their published masks, split by lesion "
        f"(seed {manifest['split_seed']}): fitted to {manifest['fitted_to']} images, "
        f"choices made on {manifest['chosen_on']} others.",
        f"- {settings['epochs_done']} epochs of {settings['samples'] or manifest['fitted_to']} images "
        "from ImageNet weights:",
        "  cross-entropy and soft Dice loss, with random flips, rotation, zoom, shift, light and tint.",
        "- The masks were begun by a network, then checked and corrected or redrawn by a dermatologist:",
        "  they are smooth, and so are its outlines.",
        f"- Fitted to frames of the version {manifest['input']['preprocessing']}.",
        "",
        "## What it was measured to do",
        "",
        f"On {test['images']} images of {test['lesions']} lesions that share no lesion with anything it was fitted to;",
        f"{test['dropped_seen']} more were dropped because their fingerprint matches an image that it had seen.",
        f"Outlines at even odds in frames of the version {test['frames']}, compared at the resolution of the masks.",
        "Intervals: 95 %, bootstrap by lesion.",
        "",
        "| metric | value | 95 % interval |",
        "|---|---|---|",
        *(
            f"| {label} | {test['metrics'][name]['value']:.3f} | {ends(test['metrics'][name])} |"
            for name, label in LABELS.items()
        ),
        "",
        *_eight_bits(manifest.get("eight_bits")),
        "## Limits",
        "",
        "- Learnt from dermoscopic images of two clinics, mostly of light skin, each with one lesion in view.",
        "  Phone photos, dark skin and images without a lesion are not measured.",
        "",
        "## Licence",
        "",
        manifest["licence"],
        "",
    ]
    return "\n".join(lines)


def _eight_bits(told: Mapping[str, Any] | None) -> list[str]:
    if told is None:
        return []
    return [
        "## In 8 bits",
        "",
        f"[{told['file']}]({told['file']}) is the same network for small devices: {told['bytes'] / 1e6:.2f} MB, with",
        f"ranges of activations from {told['ranges_from']} of the images that it was fitted to.",
        f"On the {told['images']} images that choices were made on, in frames of the version {told['frames']}:",
        "",
        "| metric | 8 bits | float |",
        "|---|---|---|",
        *(
            f"| {label} | {words(told['int8'][name])} | {words(told['float'][name])} |"
            for name, label in LABELS.items()
        ),
        "",
        f"The mean Jaccard index differs by {words(told['difference'], digits=4, sign='+')}; that of the two outlines",
        f"with each other is {words(told['agreement'])}.",
        "",
    ]
