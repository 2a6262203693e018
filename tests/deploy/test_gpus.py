"""On a machine with GPUs each has an inference process of its own; what sees none has one."""

import shlex
from pathlib import Path

import pytest

from deploy.local.commands import COMMANDS
from deploy.local.databases import Databases
from deploy.local.gpus import gpus
from deploy.local.stack import Stack

DRIVER = ["nvidiactl", "nvidia-uvm", "nvidia-modeset"]
INFERENCE = "worker-inference"


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    """What `/dev` has with two GPUs."""
    folder = tmp_path / "dev"
    folder.mkdir()
    for name in ("null", "nvidia0", "nvidia1", *DRIVER):
        (folder / name).touch()
    return folder


@pytest.fixture
def tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TensorFlow that sees two GPUs, unless a test says otherwise."""
    module = tmp_path / "path" / "tensorflow.py"
    module.parent.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(module.parent))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    sees(module, 2)
    return module


def sees(module: Path, count: int) -> None:
    module.write_text(f"class config:\n    list_physical_devices = staticmethod(lambda _: [None] * {count})\n")


def test_each_gpu_that_tensorflow_sees_is_one(devices: Path, tensorflow: Path) -> None:
    assert gpus(devices) == ["0", "1"]
    sees(tensorflow, 1)
    assert gpus(devices) == ["0"]


@pytest.mark.parametrize("program", ["import nowhere_to_be_found\n", "import os\nos.abort()\n"])
def test_gpus_are_none_where_tensorflow_cannot_compute_on_them(devices: Path, tensorflow: Path, program: str) -> None:
    sees(tensorflow, 0)
    assert gpus(devices) == []
    tensorflow.write_text(program)
    assert gpus(devices) == []


def test_a_machine_without_devices_asks_nobody(devices: Path, tensorflow: Path) -> None:
    for name in ("nvidia0", "nvidia1"):
        (devices / name).unlink()
    assert gpus(devices) == []


def test_those_that_were_chosen_are_kept_to(devices: Path, tensorflow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 1")
    assert gpus(devices) == ["3", "1"]


def stack(folder: Path, *there: str, **environment: str) -> Stack:
    servers = Databases(postgres=None, redis=None, environment={})
    return Stack(folder, port=8000, servers=servers, environment=environment, gpus=there)


def test_each_gpu_has_a_process_that_finds_its_batch_by_trial(tmp_path: Path) -> None:
    service = stack(tmp_path, "0", "1")
    assert sorted({*service.names} - COMMANDS.keys()) == [f"{INFERENCE}-1"]
    first, second = (service.process(name) for name in (INFERENCE, f"{INFERENCE}-1"))
    for process, gpu in ((first, "0"), (second, "1")):
        assert process.env
        assert (process.env["CUDA_VISIBLE_DEVICES"], process.env["INFERENCE_BATCH"]) == (gpu, "0")
        assert f"{process.name}@%h" in process.argv  # Celery tells workers by this name
    assert [word for word in second.argv if word not in first.argv] == [f"{INFERENCE}-1@%h"]
    assert first.log != second.log


def test_one_process_without_gpus_is_as_it_was(tmp_path: Path) -> None:
    service = stack(tmp_path)
    assert service.names == list(COMMANDS)
    process = service.process(INFERENCE)
    assert process.argv[2:] == shlex.split(COMMANDS[INFERENCE].line)
    assert process.env
    assert not {"CUDA_VISIBLE_DEVICES", "INFERENCE_BATCH"} & process.env.keys()


def test_a_batch_that_was_chosen_is_kept_to(tmp_path: Path) -> None:
    process = stack(tmp_path, "0", INFERENCE_BATCH="64").process(INFERENCE)
    assert process.env
    assert process.env["INFERENCE_BATCH"] == "64"
