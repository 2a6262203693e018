"""What lies beside exported networks: how to make calibrated probabilities of what they say, and the numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml.bundle import Bundle
from ml.ensemble import OUTPUTS
from ml.preparation import NOTHING
from ml.version import code_version

NUMBERS: Final = "export.json"
TEXT: Final = "README.md"
FIELD: Final = "field.py"
LIGHT: Final = "light.py"

PREPARED: Final = "   More is done to a frame: see `preparation` in `export.json`, and `ml.preparation`."

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

SPREAD: Final = {
    "spread": " with its standard deviation over the members (n,)",
    "spread_code": "        members[..., malignant].sum(axis=-1).std(axis=1),\n",
}
"""What CODE has where there are several members."""


def numbers(bundle: Bundle, to: str, exported: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What `export.json` holds; `exported` are the members' files with their checks."""
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


def text(bundle: Bundle, to: str, files: Sequence[str]) -> str:
    """What `README.md` says."""
    (width, height), count = bundle.frame, len(bundle.taxonomy.codes)
    limits = bundle.calibration.thresholds
    version = bundle.manifest["preprocessing"]["version"]
    prepared = "" if bundle.preparation == NOTHING else f"{PREPARED}\n"
    named = ", ".join(f"`{name}`" for name in files)
    code = CODE.format_map(SPREAD if len(files) > 1 else dict.fromkeys(SPREAD, ""))
    return f"""# {bundle.name} for {to}

Made from the bundle {bundle.hash}.
It supports a professional's decision and never replaces one: it is not a medical device and gives no diagnosis.
{bundle.manifest.get("licence", "")}

1. **Make a frame of the photo**, uint8 RGB ({height} rows, {width} columns, 3), values 0 to 255, by preprocessing
   `{version}`: apply the EXIF orientation; resize the whole photo so that it just fits into {width} × {height}
   pixels, or {height} × {width} for a portrait one, by the mean over each new pixel's area where it becomes smaller and
   with bicubic interpolation where it becomes larger (OpenCV's `INTER_AREA` and `INTER_CUBIC`; others' bicubic filters
   differ); complete the black around a dermatoscope's round field with `completed` of `{FIELD}` and make a dim photo
   brighter with `brightened` of `{LIGHT}`, which lie beside this text and need OpenCV and NumPy; turn a portrait photo
   a quarter anticlockwise; and complete what is missing at the sides by the photo's mirror image. Scaling and views are
   inside the networks.
   `ml.imaging.preprocess` is the reference.
{prepared}2. **Run every network** on the frames, input `frame`, uint8 (n, {height}, {width}, 3): {named}.
   Each gives `logits` (n, {count}); `maps` (n, rows, columns, {count}), class activation maps, whose softmax at a
   place is the answer if the whole photo looked like it; and `features` (n, channels). Of photos they differ from
   another runtime's by some hundredths, and probabilities by some thousandths: a pixel of a view halfway between two
   grey levels may be rounded either way. The service, and OpenVINO unless `INFERENCE_PRECISION_HINT` is `f32`, compute
   in bfloat16 where the processor can: that may move a probability by a hundredth.
3. **Make one answer of their logits** with the numbers of `{NUMBERS}`:

```python
{code}```

The classes are {", ".join(bundle.taxonomy.codes)}.
Advice follows from P(malignant): urgent referral from {limits["urgent_referral"]:.4f}, routine referral from \
{limits["routine_referral"]:.4f}.
What is not exported is the check that a picture shows a lesion at all: an answer to anything else means nothing.
"""
