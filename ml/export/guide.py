"""What lies beside exported networks: how to make calibrated probabilities of what they say, and the numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml.bundle import Bundle
from ml.metrics.measured import label, words
from ml.preparation import NOTHING
from ml.runtime.ensemble import OUTPUTS
from ml.version import code_version

NUMBERS: Final = "export.json"
TEXT: Final = "README.md"

PREPARED: Final = """**Prepare the frames** as the networks learnt them, with files that lie beside this text and
   need OpenCV and NumPy; `ml.prepare` is the reference:
{done}
```python
{code}
```

"""
HAIR: Final = "   - `remove_hair` of `hair.py` takes out dark hairs."
ALONE: Final = """   - `masked` of `focus.py` blanks the skin beyond the lesion, whose outline `masks` of `outline.py`
     draws. It asks the network `{file}` about each frame and its mirror images at {width} × {height} pixels: input
     `image`, uint8 (n, {height}, {width}, 3), one at a time in TensorFlow Lite; output `logits`, float32
     (n, {height}, {width}, 1), the log-odds that a pixel is lesion."""

CODE: Final = '''import json

import numpy as np

told = json.load(open("export.json"))


def softmax(values):
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def answer(logits):
    """From logits (n, members, classes), members in the order of export.json, to calibrated probabilities
    (n, classes), those behind the class named when all classes count the same (n, classes), and P(malignant)
    (n,){spread}.
    """
    members = softmax(np.asarray(logits, dtype=np.float64))
    features = np.log(np.clip(members, 1e-6, None)).reshape(len(members), -1)
    stack, decision = told["stack"], told["decision"]
    probabilities = softmax(features @ np.array(stack["coefficients"]) + stack["intercept"])
    raised = np.log(np.clip(probabilities, 1e-12, None)) + decision["bias"]
    malignant = [told["classes"].index(code) for code in told["malignant"]]
    return (
        probabilities,
        softmax(raised / decision["temperature"]),
        probabilities[:, malignant].sum(axis=1),
{spread_code}    )
'''

UNMEASURED: Final = """
What eight bits cost in accuracy was not measured: `python -m ml export --help` says how to.
"""

SPREAD: Final = {
    "spread": " with its standard deviation over the members (n,)",
    "spread_code": "        members[..., malignant].sum(axis=-1).std(axis=1),\n",
}
"""What CODE has where there are several members."""


def numbers(
    bundle: Bundle, to: str, exported: Sequence[Mapping[str, Any]], segmenter: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What `export.json` holds; `exported` are the members' files with their checks, `segmenter` what
    `ml.export.preparing` tells of its own.
    """
    manifest, (width, height) = bundle.manifest, bundle.frame
    return {
        "release": bundle.name,
        "bundle": bundle.hash,
        "to": to,
        "code_version": code_version(),
        "classes": list(bundle.taxonomy.codes),
        "malignant": list(bundle.taxonomy.malignant),
        "preprocessing": dict(manifest["preprocessing"]),
        "preparation": dict(manifest["preparation"]),
        "segmenter": segmenter,
        "input": {"name": "frame", "dtype": "uint8", "shape": [None, height, width, 3]},
        "outputs": list(OUTPUTS),
        "members": [
            {
                "name": each["member"].name,
                "views": list(each["member"].views),
                "file": each["file"],
                "sha256": each["sha256"],
                "largest_difference_of_logits": each["difference"],
                "tolerance": each["tolerance"],
            }
            for each in exported
        ],
        "stack": manifest["stack"],
        "decision": manifest["decision"],
        "thresholds": manifest["thresholds"],
        "licence": str(manifest.get("licence", "")),
    }


def text(bundle: Bundle, told: Mapping[str, Any]) -> str:
    """What `README.md` says; `told` is what `export.json` holds."""
    (width, height), count = bundle.frame, len(bundle.taxonomy.codes)
    files, segmenter = [member["file"] for member in told["members"]], told["segmenter"]
    limits = bundle.calibration.thresholds
    version = bundle.manifest["preprocessing"]["version"]
    named = ", ".join(f"`{name}`" for name in files)
    code = CODE.format_map(SPREAD if len(files) > 1 else dict.fromkeys(SPREAD, ""))
    steps = [
        f"""**Make a frame of the photo**, uint8 RGB ({height} rows, {width} columns, 3), values 0 to 255, by
   preprocessing `{version}`: apply the EXIF orientation; resize the whole photo so that it just fits into
   {width} × {height} pixels, or {height} × {width} for a portrait one, by the mean over each new pixel's area where it
   becomes smaller and with bicubic interpolation where it becomes larger (OpenCV's `INTER_AREA` and `INTER_CUBIC`;
   others' bicubic filters differ); complete the black around a dermatoscope's round field with `completed` of
   `field.py` and make a dim photo brighter with `brightened` of `light.py`, which lie beside this text and need OpenCV
   and NumPy; turn a portrait photo a quarter anticlockwise; and complete what is missing at the sides by the photo's
   mirror image. Scaling and views are inside the networks.
   `ml.imaging.preprocess` is the reference.
""",
        *([_prepared(bundle, segmenter)] if bundle.preparation != NOTHING else []),
        f"""**Run every network** on the frames, input `frame`, uint8 (n, {height}, {width}, 3): {named}.
   Each gives `logits` (n, {count}); `maps` (n, rows, columns, {count}), class activation maps, whose softmax at a
   place is the answer if the whole photo looked like it; and `features` (n, channels). Of photos they differ from
   another runtime's by some hundredths, and probabilities by some thousandths: a pixel of a view halfway between two
   grey levels may be rounded either way. The service, and OpenVINO unless `INFERENCE_PRECISION_HINT` is `f32`, compute
   in bfloat16 where the processor is quicker in it: that moves a probability by some hundredths at times, and may
   change the advice where P(malignant) is near a threshold.
""",
        f"""**Make one answer of their logits** with the numbers of `{NUMBERS}`:

```python
{code}```
""",
    ]
    numbered = "".join(f"{place}. {step}" for place, step in enumerate(steps, 1))
    return f"""# {bundle.name} for {told["to"]}

Made from the bundle {bundle.hash}.
It supports a professional's decision and never replaces one: it is not a medical device and gives no diagnosis.
{bundle.manifest.get("licence", "")}

{numbered}
The classes are {", ".join(bundle.taxonomy.codes)}.
Advice follows from P(malignant): urgent referral from {limits["urgent_referral"]:.4f}, routine referral from \
{limits["routine_referral"]:.4f}.
What is not exported is the check that a picture shows a lesion at all: an answer to anything else means nothing.
{_cost(told)}"""


def _cost(told: Mapping[str, Any]) -> str:
    """What the files lose against the bundle."""
    measured = told.get("measured")
    if measured is None:
        return UNMEASURED if "representative" in told else ""
    from_none = " and --int8 took no range from" if "representative" in told else ""
    rows = "".join(
        f"| {label(row['metric'])} | {words(row['bundle'])} | {words(row['exported'])} | "
        f"{words(row['difference'], sign='+')} |\n"
        for row in measured["rows"]
    )
    return f"""
## What these files were measured to do

On {measured["images"]} images of {measured["lesions"]} lesions ({measured["malignant_lesions"]} malignant) that the \
bundle has not seen{from_none}; {measured["dropped_seen"]} more were left out.
Bundle and files answer by their networks alone, without that check, the bundle's in float32. In brackets: 95 %
intervals, bootstrap by lesion; those of the difference are paired.

| metric | bundle | these files | difference |
|---|---|---|---|
{rows}"""


def _prepared(bundle: Bundle, segmenter: Mapping[str, Any] | None) -> str:
    """The step that makes frames as the networks want them, with its code."""
    (wide, high), network, said = bundle.frame, "", ""
    done, imports, lines = [], [], []
    if bundle.preparation.remove_hair:
        done.append(HAIR)
        imports.append("hair")
        lines.append("frames = np.stack([hair.remove_hair(frame) for frame in frames])")
    if segmenter:
        _, height, width, _ = segmenter["input"]["shape"]
        done.append(ALONE.format(file=segmenter["file"], width=width, height=height))
        imports += ["focus", "outline"]
        lines.append(f"masks = outline.masks(log_odds, frames, ({width}, {height}))")
        lines.append("frames = np.stack([focus.masked(frame, mask) for frame, mask in zip(frames, masks)])")
        network, said = ", log_odds", f" `log_odds` gives the logits of {segmenter['file']} for its input."
    code = [
        "import numpy as np",
        "",
        *(f"import {name}" for name in sorted(imports)),
        "",
        "",
        f"def prepared(frames{network}):",
        f'    """Frames, uint8 RGB (n, {high}, {wide}, 3), as the networks want them.{said}"""',
        *(f"    {line}" for line in [*lines, "return frames"]),
    ]
    return PREPARED.format(done="\n".join(done) + "\n", code="\n".join(code))
