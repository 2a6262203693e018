"""The ways in which a bundle can answer, each run in a process of its own: `python -m ml.bench.ways <way> <folder>`."""

import json
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml import bundle as bundles
from ml.bundle import Bundle

TASK, FRAMES, RANGES, IMAGES = "task.json", "frames.npy", "ranges.npy", "images"

REPEATS: Final = 3
"""Passes over all images after the first batch has warmed the way up; the median counts."""

Run = Callable[[np.ndarray], np.ndarray]
"""From frames, uint8 (n, height, width, 3), to the members' logits (n, members, k)."""


@dataclass(frozen=True)
class Task:
    """What every way is given: the bundle, a warm cache, the batch, and `folder` with the images, encoded in IMAGES and
    as the members see them in FRAMES, and in RANGES, where there are any, frames to take the ranges of eight bits from;
    it also takes what a way makes for itself.
    """

    bundle: Bundle
    cache: Path
    batch: int
    folder: Path

    def batched(self, answer: Run) -> Run:
        """`answer` on one batch after the other."""
        size = self.batch
        return lambda frames: np.concatenate(
            [answer(frames[at : at + size]) for at in range(0, len(frames), size)], dtype=np.float32
        )


def _models(task: Task) -> list[Any]:
    from ml.runtime.convert import keras_model

    return [keras_model(member, task.bundle.frame) for member in task.bundle.members]


def _keras(task: Task) -> Run:
    models = _models(task)

    def answer(frames: np.ndarray) -> np.ndarray:
        return np.stack([model.predict(frames, task.batch, verbose=0)["logits"] for model in models], axis=1)

    return answer


def _compiled(task: Task) -> Run:
    import tensorflow

    models = _models(task)
    together = tensorflow.function(lambda frames: [model(frames, training=False)["logits"] for model in models])
    return task.batched(lambda frames: np.stack([logits.numpy() for logits in together(frames)], axis=1))


def _onnx(task: Task) -> Run:
    import onnxruntime  # type: ignore[import-untyped,unused-ignore]

    sessions = [
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        for path in sorted(task.folder.glob("*.onnx"))
    ]
    return task.batched(
        lambda frames: np.stack([session.run(["logits"], {"frame": frames})[0] for session in sessions], axis=1)
    )


def _write_onnx(task: Task) -> None:
    from ml.export import backends

    backends.require("onnx")
    for place, (member, model) in enumerate(zip(task.bundle.members, _models(task), strict=True)):
        target = task.folder / f"{place}.onnx"
        backends.write("onnx", member, task.bundle.frame, target, model=model, cache=task.cache, representative=None)


def _openvino(task: Task, cache: Path, precision: Any) -> Run:
    from ml.runtime.ensemble import OpenVinoMembers

    members = OpenVinoMembers(task.bundle.members, task.bundle.frame, cache, precision=precision)
    return task.batched(lambda frames: np.stack([said[0] for said in members(frames)], axis=1))


def _quantise(task: Task) -> None:
    from ml.bench import BenchError
    from ml.runtime import convert

    if not (task.folder / RANGES).exists():
        raise BenchError("eight bits take their ranges from train images: say with --data where labelled ones lie")
    ranges = np.load(task.folder / RANGES)
    convert.quantise(task.bundle.members, task.bundle.frame, task.cache, task.folder / "int8", ranges)


LOGITS: Final[dict[str, Callable[[Task], Run]]] = {
    "keras": _keras,
    "tensorflow": _compiled,
    "onnx": _onnx,
    "openvino-f32": lambda task: _openvino(task, task.cache, "f32"),
    "openvino-bf16": lambda task: _openvino(task, task.cache, "bf16"),
    "openvino-int8": lambda task: _openvino(task, task.folder / "int8", None),
}
"""The ways that only give logits. The first is what the others are compared with."""

BEFORE: Final[dict[str, Callable[[Task], None]]] = {"onnx": _write_onnx, "openvino-int8": _quantise}
"""What a way needs written first, in a process of its own so that its memory does not count."""

WHOLE: Final = ("runtime", "runtime-decoding")
"""The runtime as it serves, with heatmaps: from prepared pixels, and from encoded images."""


def _run(way: str, task: Task) -> dict[str, Any]:
    """Times a way; gives `seconds` for all images, the median of REPEATS, and `memory` at its peak in MB."""
    warm: Callable[[], object]
    once: Callable[[], object]
    if way in LOGITS:
        answer, frames = LOGITS[way](task), np.load(task.folder / FRAMES)
        warm, once = (lambda: answer(frames[: task.batch])), (lambda: answer(frames))
    else:
        warm, once = _runtime(way, task)
    warm()
    seconds, last = [], None
    for _ in range(REPEATS):
        started = time.perf_counter()
        last = once()
        seconds.append(time.perf_counter() - started)
    if way in LOGITS:
        np.save(task.folder / f"{way}.npy", np.asarray(last))
    return {"seconds": statistics.median(seconds), "memory": _peak()}


def _peak() -> float | None:
    """The most memory that this process has held, in MiB, or None where the system does not tell. Not `ru_maxrss`:
    Linux counts in it what the process that started this one held.
    """
    status = Path("/proc/self/status")
    told = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(told[1]) / 1024 if told else None


def _runtime(way: str, task: Task) -> tuple[Callable[[], object], Callable[[], object]]:
    from ml.runtime import Runtime
    from ml.runtime.stream import stream

    runtime = Runtime(task.bundle.path, task.cache)
    paths = sorted((task.folder / IMAGES).iterdir())
    if way == "runtime-decoding":
        return (
            lambda: list(stream(runtime, paths[: task.batch], Path.read_bytes, task.batch)),
            lambda: list(stream(runtime, paths, Path.read_bytes, task.batch)),
        )
    prepared = [runtime.prepare(path.read_bytes()) for path in paths]
    batches = [prepared[at : at + task.batch] for at in range(0, len(prepared), task.batch)]
    return lambda: runtime.predict(batches[0]), lambda: [runtime.predict(batch) for batch in batches]


def main(way: str, folder: Path) -> None:
    """Runs a way, or `before-<way>`, and writes `<way>.json`: its figures, or in `note` why there are none."""
    told = json.loads((folder / TASK).read_text())
    task = Task(bundles.load(Path(told["bundle"])), Path(told["cache"]), told["batch"], folder)
    try:
        figures = BEFORE[way.removeprefix("before-")](task) if way.startswith("before-") else _run(way, task)
    except Exception as error:  # one way that this machine cannot go does not end the others
        figures = {"note": _why(error)}
    (folder / f"{way}.json").write_text(json.dumps(figures or {}))


def _why(error: Exception) -> str:
    """What kept a way from being measured: in words, where these were meant for people."""
    if type(error).__module__.startswith("ml."):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0].replace("_", "-")
        return f"needs {package}, which serving does not: pip install {package} in the version of requirements-dev.txt"
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
