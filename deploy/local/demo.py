"""The whole loop, as its users live it: photos in, results out, a message to a patient, labels back, a better model.

The clinic's part goes over HTTP with an API key, exactly as a clinic's software would do it. Annotators and the
operator work in pages; here their clicks are played by calling the same services.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import django
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.local.clinic import Clinic, Photo
from deploy.local.samples import read_own, read_synthetic
from deploy.local.stack import STATE, Stack, running_stack
from ml.classes import DISPLAY_NAMES

console = Console()
ADVICE = {
    "urgent_referral": "[bold red]▲ urgent referral[/]",
    "routine_referral": "[yellow]◆ routine referral[/]",
    "self_monitor": "[green]● self-monitor[/]",
}
ROWS_SHOWN = 20
LABELLED = 60  # enough for a small retraining; every image of a large batch would have a stranger wait


def main(argv: Sequence[str]) -> int:
    """Run the demo; gives the exit status."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--images", type=Path, help="your own images: a folder or a ZIP")
    parser.add_argument("--metadata", type=Path, help="the CSV that describes them, with HAM10000's columns")
    parser.add_argument("--count", type=int, default=20, help="how many cases to submit (default %(default)s)")
    options = parser.parse_args(argv)
    if bool(options.images) != bool(options.metadata):
        parser.error("--images and --metadata go together: make demo IMAGES=<folder or zip> METADATA=<csv>")
    if options.count < 1:
        parser.error("--count is how many cases to submit, at least 1: make demo COUNT=20")
    if options.images:
        photos = read_own(options.images, options.metadata, options.count)
        console.print(f"[bold]{len(photos)} cases[/] of {options.images}")
    else:
        # Others each time, since an annotator is never shown a picture twice.
        photos = read_synthetic(STATE / "synthetic", options.count, seed=int(time.time()))
        console.print(f"[bold]{len(photos)} synthetic cases[/], drawn by a program: no patient's skin is shown")
    started = time.monotonic()
    console.print("Starting Postgres, Redis, the site and its workers …")
    with running_stack() as stack:
        console.print(f"The site is up at {stack.base_url} after {time.monotonic() - started:.0f} s")
        play(stack, photos)
        stack.check()
    console.print(
        f"\n[bold green]The loop is closed.[/] {time.monotonic() - started:.0f} s in all; everything is stopped."
    )
    console.print("Next: [bold]make serve[/] opens the site with what was made here, and says how to sign in.")
    return 0


def play(stack: Stack, photos: Sequence[Photo]) -> None:
    """Live through the loop once, on a running stack."""
    accounts = json.loads(stack.manage("demo_accounts"))
    clinic = Clinic(stack.base_url, accounts["api_key"])
    os.environ.update(stack.environment | {"LOG_LEVEL": "WARNING"})
    django.setup()
    try:
        cases = submit(clinic, photos, stack.folder / "demo")
        answered = {case["case_id"] for case in cases if case["result"]}
        usable = [photo for photo in photos if photo.case_id in answered]
        if not usable:
            raise RuntimeError("None of these pictures could be answered; the table says why. Try others.")
        release_one(clinic, cases, stack.folder / "mailbox")
        label(photos, batch_id=cases[0]["batch"])
        if release := retrain():
            try:
                show_next(clinic, usable[0], release)
            finally:  # also at Ctrl-C: so little a model is none to leave behind
                go_back()
    finally:
        clinic.close()


def submit(clinic: Clinic, photos: Sequence[Photo], folder: Path) -> list[dict[str, Any]]:
    """The clinic's software submits a batch and collects the results; gives the cases."""
    _heading("A clinic submits a batch through the API")
    told = TextColumn("{task.description:<12}")
    bars = (SpinnerColumn(), told, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bars, console=console) as progress:
        uploading = progress.add_task("uploading", total=len(photos))
        submitted = clinic.submit(photos, name="Demo", on_upload=lambda: progress.advance(uploading))
        answering = progress.add_task("answering", total=len(photos))
        for batch in clinic.progress(submitted["id"]):
            progress.update(answering, completed=len(photos) - batch["remaining"])
    cases = clinic.cases(submitted["id"])
    _show_cases(cases, clinic.refused(submitted["id"]))
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / f"batch-{batch['id']}.csv"
    table.write_bytes(clinic.results_csv(batch["id"]))
    failures = " (pictures that were refused)" if batch["failures"] else ""
    console.print(f"The batch is {batch['state'].replace('_', ' ')}{failures}. Its table:")
    _show_path(table)
    answered = [case for case in cases if case["result"]]
    if answered:
        worst = max(answered, key=lambda case: case["result"]["malignant"])
        heatmap = folder / f"heatmap-{worst['case_id']}.jpg"
        heatmap.write_bytes(clinic.download(clinic.case(worst["id"])["images"][0]["heatmap_url"]))
        console.print(f"What the model looked at in {worst['case_id']}:")
        _show_path(heatmap)
    return cases


def release_one(clinic: Clinic, cases: Sequence[dict[str, Any]], mailbox: Path) -> None:
    """The clinician releases a result; the patient's e-mail lands in the mailbox folder."""
    _heading("A clinician releases a result to the patient")
    case = next(case for case in cases if case["result"])
    before = set(mailbox.glob("*"))
    clinic.release(case["id"], note="Please call us if anything about this spot changes.")
    [mail] = _wait_for("the e-mail", lambda: [path for path in set(mailbox.glob("*")) - before if _tells(path)])
    console.print("The patient's e-mail, with a link and no finding:")
    _show_path(mail)


def _tells(path: Path) -> bool:
    """Whether this is a patient's message, not the clinic's own about the batch."""
    return "/results/" in path.read_text()


def label(photos: Sequence[Photo], *, batch_id: str) -> None:
    """Two annotators label the images of a batch, each blind to the model and to the other.

    Their page would show them whatever else waits on this site as well, of which the demo knows nothing.
    """
    from django.utils import timezone

    from webapp.accounts.models import User
    from webapp.audit.services import Actor
    from webapp.cases.models import Batch
    from webapp.labels.models import CANNOT_TELL, Assignment, Consensus, Label
    from webapp.labels.selectors import candidates
    from webapp.labels.services import ASSIGNMENT_TIME, submit_label

    _heading("Two annotators label the images")
    known = {photo.case_id: photo.dx for photo in photos if photo.dx}
    batch = Batch.objects.get(pk=batch_id)
    labelled = set()
    for annotator in User.objects.filter(email__in=["annotator1@demo.example", "annotator2@demo.example"]):
        actor = Actor(user=annotator)
        queue = candidates(organisation=batch.organisation, annotator=annotator, limit=sys.maxsize)
        for image in batch.images.filter(pk__in=queue).select_related("case")[:LABELLED]:
            screen = {"expires_at": timezone.now() + ASSIGNMENT_TIME}
            Assignment.objects.update_or_create(image=image, annotator=annotator, defaults=screen)
            dx = known.get(image.case.external_id, CANNOT_TELL)
            submit_label(actor=actor, annotator=annotator, image=image, dx=dx, confidence=Label.Confidence.HIGH)
            labelled.add(image.pk)
    if not labelled:
        console.print("They labelled all of these images in an earlier run, and nobody is shown a picture twice.")
        return
    agreed = Consensus.objects.filter(image__in=labelled)
    differ = agreed.filter(differs=True).count()
    console.print(f"{agreed.count()} labels accepted; {differ} differ from what the model had said.")


def retrain() -> Any:
    """The operator starts a small retraining, reads the gate, and promotes the candidate; gives the new release.

    None where the labels are too few.
    """
    from webapp.accounts.models import User
    from webapp.audit.services import Actor
    from webapp.errors import Problem
    from webapp.registry.models import TrainingRun
    from webapp.registry.services import promote
    from webapp.registry.training import start_run

    _heading("The labels retrain the model")
    actor = Actor(user=User.objects.get(email="operator@demo.example"))
    try:
        run = start_run(actor=actor, epochs=1)
    except Problem as problem:  # a handful of images may fill only one side of the split
        console.print(f"No retraining this time: {problem.message}")
        return None
    shown = 0
    with console.status("Waiting for the training worker …") as status:
        while run.state in TrainingRun.LIVE:
            for event in run.progress[shown:]:
                status.update(_describe(event))
                console.print(f"  {_describe(event)}")
            shown = len(run.progress)
            time.sleep(0.5)
            run.refresh_from_db()
    if run.candidate is None or run.gate is None:
        raise RuntimeError(f"The retraining failed: {run.error}")
    _show_gate(run.gate)
    note = "" if run.gate["verdict"] == "passed" else "Demonstration: so few labels cannot decide the gate."
    release = promote(actor=actor, release=run.candidate, note=note)
    console.print(f"Promoted: [bold]{release.name}[/]{f' with the note “{note}”' if note else ''}")
    return release


def show_next(clinic: Clinic, photo: Photo, release: Any) -> None:
    """The next image is answered by the new release."""
    _heading("The next image")
    batch_id = clinic.submit([photo], name="Demo, after the promotion")["id"]
    list(clinic.progress(batch_id))
    [case] = clinic.cases(batch_id)
    _show_cases([case], {})
    answered_by = case["result"]["release"]["name"]
    if answered_by != release.name:
        raise RuntimeError(f"{answered_by} answered, not the promoted {release.name}.")


def go_back() -> None:
    """The operator rolls back, so that whoever tries the site next meets the release that was active before."""
    from webapp.accounts.models import User
    from webapp.audit.services import Actor
    from webapp.registry.services import roll_back

    _heading("The operator rolls back")
    release = roll_back(actor=Actor(user=User.objects.get(email="operator@demo.example")))
    console.print(f"Active again: [bold]{release.name}[/]. So few labels make no model to go on with.")


def _heading(text: str) -> None:
    console.print()
    console.rule(f"[bold]{text}", align="left")


def _show_path(path: Path) -> None:
    """In one piece, however narrow the terminal: it is there to be copied."""
    console.print(f"  {path}", markup=False, soft_wrap=True)


def _show_cases(cases: Sequence[dict[str, Any]], refused: Mapping[str, str]) -> None:
    table = _table(("Case", 18), ("Top class", 20), ("P(malignant)", 12), ("Advice", 18))
    table.columns[1].max_width = 21  # the longest names end in an ellipsis
    for case in cases[:ROWS_SHOWN]:
        result, name = case["result"], case["case_id"]
        shown = name if len(name) <= 18 else f"…{name[-17:]}"  # ids differ at their ends
        if result:
            spread = "" if result["uncertainty"] is None else f" ± {result['uncertainty']:.2f}"
            malignant = f"{result['malignant']:.2f}{spread}"
            table.add_row(shown, DISPLAY_NAMES[result["top_class"]], malignant, ADVICE[result["advice"]])
        else:
            table.add_row(shown, f"refused: {refused.get(name, 'failed')}", "–", "–")
    console.print(table)
    if len(cases) > ROWS_SHOWN:
        console.print(f"… and {len(cases) - ROWS_SHOWN} more")
    counts = Counter(case["result"]["advice"] if case["result"] else "refused" for case in cases)
    console.print(", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in counts.most_common()))
    releases = {case["result"]["release"]["name"] for case in cases if case["result"]}
    console.print(f"Answered by {', '.join(sorted(releases))}")


def _describe(event: dict[str, Any]) -> str:
    if event["event"] == "epoch":
        return f"{event['member']}: epoch {event['epoch']} of {event['of']}, loss {event['loss']}"
    return str(event.get("name", event["event"]))


def _show_gate(gate: dict[str, Any]) -> None:
    table = _table(("Test split", 17), ("Active", 6), ("New", 6), ("Change", 6), ("95 % interval", 15), ("Verdict", 12))
    for row in gate["rows"]:
        numbers = [_number(row[name]) for name in ("active", "candidate", "difference")]
        interval = "–" if row["low"] is None else f"{_number(row['low'])} to {_number(row['high'])}"
        table.add_row(row["metric"].replace("_", " "), *numbers, interval, row["verdict"])
    console.print(table)
    console.print(f"Verdict of the gate: [bold]{gate['verdict']}[/]. {gate.get('reason', '')}")


def _table(*columns: tuple[str, int]) -> Table:
    """A table of headings and least widths that is narrow enough for 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, width in columns:
        table.add_column(heading, no_wrap=True, min_width=width)
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _wait_for(what: str, look: Callable[[], list[Path]]) -> list[Path]:
    """What `look` finds, once it finds anything. Raises TimeoutError."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.2)
    raise TimeoutError(f"{what} did not come within 30 s")
