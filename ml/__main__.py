"""The command line of the science: `python -m ml --help`."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before anything imports TensorFlow, which greets at length

from ml.cli import main

raise SystemExit(main())
