"""The NVIDIA GPUs that inference can use on this machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

ASK = "import tensorflow; print(len(tensorflow.config.list_physical_devices('GPU')))"


def gpus(devices: Path = Path("/dev")) -> list[str]:
    """What CUDA_VISIBLE_DEVICES is for a process on each of them.

    A driver alone is not enough: TensorFlow, in a process of its own, says how many it can compute on, and minds a
    CUDA_VISIBLE_DEVICES that is set.
    """
    if not any(re.fullmatch(r"nvidia\d+", device.name) for device in devices.glob("nvidia*")):
        return []
    asked = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=False)  # noqa: S603
    count = int(asked.stdout.split()[-1]) if asked.returncode == 0 else 0
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return (named or [str(index) for index in range(count)])[:count]
