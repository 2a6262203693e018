"""What a load needs and costs, by arithmetic: `python -m tests.bench.capacity [--write]`.

From what one image was measured to cost (`python -m tests.bench.footprint`) and from assumptions that are named as
such. It prints the tables of docs/scaling.md; `--write` puts them there.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"
DAY: Final = 86_400
LOADS: Final = (1_000_000, 100_000_000)


@dataclass(frozen=True)
class Measured:
    """One image, as the bench found it: milliseconds of a core, kilobytes, counts."""

    web: float = 2.49
    worker_cpu: float = 4.13
    worker_inference: float = 13.3
    networks: float = 11.1  # of these: two cores by the rate of the networks alone, docs/runtime.md
    postgres: float = 1.2
    redis: float = 0.04
    sent_kb: float = 47.6
    kept_kb: float = 47.6  # images/
    rows_kb: float = 4.42
    log_kb: float = 11.8
    transactions: float = 3
    commands: float = 0.4

    @property
    def core_ms(self) -> float:
        """Of all processes together."""
        return self.web + self.worker_cpu + self.worker_inference + self.postgres + self.redis


@dataclass(frozen=True)
class Assumed:
    """What nobody has measured here. Prices are in US dollars, of the order that large clouds ask."""

    peak: float = 3.0  # the busiest hour, as a multiple of the day's mean
    busy: float = 0.6  # of a core that is paid for
    photo_kb: float = 500.0  # as it is sent
    puts: int = 2  # by reading the code: upload, picture
    gets: int = 4  # two HEAD and two GET
    pictures_days: int = 365
    rows_days: int = 365
    core_hour: float = 0.04
    database_core_hour: float = 0.10
    object_gb_month: float = 0.023
    database_gb_month: float = 0.115
    million_puts: float = 5.0
    million_gets: float = 0.4
    gpu_hour: float = 1.0


MEANING: Final = {
    "web": "web, ms of a core",
    "worker_cpu": "worker-cpu, ms of a core",
    "worker_inference": "worker-inference, ms of a core",
    "networks": "of these the networks, which a GPU would take over, ms of a core",
    "postgres": "Postgres, ms of a core",
    "redis": "Redis, ms of a core",
    "sent_kb": "a photo of the bench as it is sent, kB",
    "kept_kb": "what is kept of it (`images/`), kB",
    "rows_kb": "rows and indexes in Postgres, kB",
    "log_kb": "write-ahead log of Postgres, kB",
    "transactions": "transactions of Postgres",
    "commands": "commands of Redis",
    "peak": "the busiest hour, as a multiple of the day's mean",
    "busy": "share of a paid core that works at the peak",
    "photo_kb": "a photo as it is sent, kB",
    "puts": "writes to object storage for an image, by reading the code",
    "gets": "reads from object storage for an image, by reading the code",
    "pictures_days": "days that pictures are kept",
    "rows_days": "days that rows are kept",
    "core_hour": "an hour of a core, $",
    "database_core_hour": "an hour of a core of a managed Postgres, $",
    "object_gb_month": "a GB in object storage for a month, $",
    "database_gb_month": "a GB on a managed Postgres for a month, $",
    "million_puts": "a million writes to object storage, $",
    "million_gets": "a million reads from object storage, $",
    "gpu_hour": "an hour of a small GPU, $",
}


@dataclass(frozen=True)
class Plan:
    """What a number of images a day needs."""

    images: int
    measured: Measured = Measured()
    assumed: Assumed = Assumed()

    @property
    def mean(self) -> float:
        """Images a second over the day."""
        return self.images / DAY

    @property
    def peak(self) -> float:
        """Images a second in the busiest hour."""
        return self.mean * self.assumed.peak

    def cores(self, milliseconds: float) -> int:
        """Cores for a process that takes so many milliseconds of one for each image, at the peak."""
        return math.ceil(self.peak * milliseconds / 1000 / self.assumed.busy)

    def stored_tb(self, kilobytes: float, days: float) -> float:
        """Terabytes that so many kilobytes for each image come to."""
        return self.images * kilobytes * days / 1e9

    @property
    def kept_kb(self) -> float:
        """Kilobytes of a picture that is kept: the share that the bench's photos left of what was sent."""
        return self.assumed.photo_kb * self.measured.kept_kb / self.measured.sent_kb

    def needs(self) -> Iterator[tuple[str, str]]:
        """Every row of the plan: what, and how much."""
        one, more, kept_kb = self.measured, self.assumed, self.kept_kb
        yield "images a second, mean; peak", f"{self.mean:,.1f}; {self.peak:,.0f}"
        yield "cores of web", f"{self.cores(one.web):,}"
        yield "cores of worker-cpu", f"{self.cores(one.worker_cpu):,}"
        yield "cores of worker-inference", f"{self.cores(one.worker_inference):,}"
        yield "cores of Postgres", f"{self.cores(one.postgres):,}"
        yield "transactions of Postgres a second, peak", f"{self.peak * one.transactions:,.0f}"
        yield "write-ahead log, MB/s, peak", f"{self.peak * one.log_kb / 1000:,.1f}"
        yield "rows and indexes, GB a day", f"{1000 * self.stored_tb(one.rows_kb, 1):,.1f}"
        yield f"the same after {more.rows_days} days, TB", f"{self.stored_tb(one.rows_kb, more.rows_days):,.1f}"
        yield "pictures, GB a day", f"{1000 * self.stored_tb(kept_kb, 1):,.0f}"
        yield (
            f"the same after {more.pictures_days} days, TB",
            f"{self.stored_tb(kept_kb, more.pictures_days):,.0f}",
        )
        yield "writes to object storage a second, peak", f"{self.peak * more.puts:,.0f}"
        yield "reads from object storage a second, peak", f"{self.peak * more.gets:,.0f}"
        yield (
            "uploads, Gbit/s, peak (into object storage; of them patients' photos through the site)",
            f"{self.peak * more.photo_kb * 8e-6:,.2f}",
        )
        yield "commands of Redis a second, peak", f"{self.peak * one.commands:,.0f}"

    def costs(self) -> Iterator[tuple[str, float]]:
        """Dollars a day, once storage has filled up. Cores are paid for as long as the mean needs them."""
        one, more = self.measured, self.assumed
        ours = (one.web + one.worker_cpu + one.worker_inference) / 1000 * self.images / 3600 / more.busy
        yield "cores of the site and the workers, scaled with the load", ours * more.core_hour
        yield "cores of Postgres, sized for the peak", self.cores(one.postgres) * 24 * more.database_core_hour
        yield (
            f"rows of {more.rows_days} days",
            1000 * self.stored_tb(one.rows_kb, more.rows_days) * more.database_gb_month / 30,
        )
        yield (
            f"pictures of {more.pictures_days} days",
            1000 * self.stored_tb(self.kept_kb, more.pictures_days) * more.object_gb_month / 30,
        )
        yield (
            "requests to object storage",
            self.images / 1e6 * (more.puts * more.million_puts + more.gets * more.million_gets),
        )


def tables(measured: Measured, assumed: Assumed) -> dict[str, str]:
    """Every table of the document as Markdown, by name."""
    plans = [Plan(images, measured, assumed) for images in LOADS]
    loads = [f"{plan.images // 1_000_000} million a day" for plan in plans]
    second = 2000 / measured.core_ms
    pays = assumed.gpu_hour / assumed.core_hour * 1000 / measured.networks * assumed.busy
    machine = [
        ("milliseconds of a core for an image, all processes", f"{measured.core_ms:.1f}"),
        ("images a second, both cores busy", f"{second:.1f}"),
        ("images a day, both cores busy", f"{second * DAY / 1e6:.1f} million"),
        ("images a day, with room for the peak", f"{second * DAY * assumed.busy / assumed.peak / 1e6:.2f} million"),
        ("images a second from which a GPU is cheaper than cores", f"{pays:,.0f}"),
    ]
    needs = [(name, first, then) for (name, first), (_, then) in zip(*(plan.needs() for plan in plans), strict=True)]
    costs = [(name, first, then) for (name, first), (_, then) in zip(*(plan.costs() for plan in plans), strict=True)]
    sums = [sum(first for _, first, _ in costs), sum(then for _, _, then in costs)]
    thousand = [f"{1000 * total / plan.images:.3f}" for total, plan in zip(sums, plans, strict=True)]
    return {
        "measured": _table(("one image", "figure"), [(MEANING[k], f"{v:g}") for k, v in asdict(measured).items()]),
        "machine": _table(("one machine of two cores", "figure"), machine),
        "assumed": _table(("assumption", "value"), [(MEANING[k], f"{v:g}") for k, v in asdict(assumed).items()]),
        "needs": _table(("what it needs", *loads), needs),
        "costs": _table(
            ("dollars a day", *loads),
            [
                *((name, f"{first:,.0f}", f"{then:,.0f}") for name, first, then in costs),
                ("all", *(f"{total:,.0f}" for total in sums)),
                ("for a thousand images", *thousand),
            ],
        ),
    }


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def filled_in(text: str, made: dict[str, str]) -> str:
    """The document with every table between its marks as it is made now. Raises KeyError where one has no marks."""
    for name, table in made.items():
        before, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        if not end:
            raise KeyError(name)
        text = f"{before}{start}{table}\n{end}{after}"
    return text


def main() -> None:
    """Print the tables, or write them into the document."""
    made = tables(Measured(), Assumed())
    if sys.argv[1:] == ["--write"]:
        DOCUMENT.write_text(filled_in(DOCUMENT.read_text(), made))
    else:
        print("\n\n".join(made.values()))


if __name__ == "__main__":
    main()
