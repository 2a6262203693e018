"""Every bench of the service, one after the other: `make bench`.

    python -m tests.bench [--scale 0.1] [--only drain,peers] [--out .local/bench/bench.json]

Each runs in a process of its own, so that one that dies does not stop the others. The report is written after each:
a JSON, and beside it the same as a Markdown table. The exit status says whether every target was met.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from tests.bench.isolated import measured
from tests.bench.machine import this_machine
from tests.bench.report import Report, markdown, show

BENCHES: Final = (
    "worker_start",
    "drain",
    "interactive",
    "fairness",
    "peers",
    "intake",
    "growth",
    "results_out",
    "footprint",
    "faults",
    "soak",
)


def main() -> int:
    """Run them and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1, help="1 is the full size, which takes an hour and a half")
    parser.add_argument("--only", default=",".join(BENCHES), help=f"some of {','.join(BENCHES)}")
    parser.add_argument("--out", type=Path, default=Path(".local/bench/bench.json"))
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := set(names) - set(BENCHES):
        parser.error(f"no bench is called {', '.join(sorted(unknown))}")
    machine = this_machine()
    print(machine)
    if not machine.quiet:
        print("This machine is busy with something else: times and rates will tell of that too.", file=sys.stderr)
    report = Report(machine, options.scale, [])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for name in names:
        print(f"{name} …", flush=True)
        outcome = measured(name, f"tests.bench.{name}", options.scale)
        report = Report(machine, options.scale, [*report.outcomes, outcome])
        options.out.write_text(json.dumps(report.as_dict(), indent=2) + "\n")
        options.out.with_suffix(".md").write_text(markdown(report))
    show(report.outcomes)
    print(f"{options.out} and {options.out.with_suffix('.md')}")
    return 0 if report.met else 1


if __name__ == "__main__":
    sys.exit(main())
