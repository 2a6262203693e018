"""What TensorFlow writes before its own log is set up, and no setting of it silences: how it was built, and that there
is no GPU.
"""

import os
import re
import subprocess
import sys
from typing import Final

GREETING: Final = re.compile(rb"WARNING: All log messages before absl::InitializeLog|I\d{4} \d\d:\d\d:")
"""How such a line begins; those of warnings and errors begin otherwise."""


def leave_out_greetings() -> None:
    """From here on, standard error loses these lines where native code writes them; what Python writes goes by.

    Another process leaves them out, so that an error with which this one ends is told all the same.
    """
    command = [sys.executable, "-I", "-S", __file__]
    reads, writes = os.pipe()
    subprocess.Popen(command, stdin=reads, start_new_session=True)  # noqa: S603  # Ctrl-C is not for it
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors=sys.stderr.errors)
    os.dup2(writes, 2)
    os.close(reads)
    os.close(writes)


if __name__ == "__main__":
    for line in sys.stdin.buffer:
        if not GREETING.match(line):
            os.write(2, line)
