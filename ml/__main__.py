"""The command line of the science: `python -m ml --help`."""

import os
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before anything imports TensorFlow, which greets at length

from ml.cli import main

signal.signal(signal.SIGTERM, signal.default_int_handler)  # what ends a container leaves nothing half done, either
raise SystemExit(main())
