"""What the documents tell a clinic's programmer to type is typed here as it is written, and the service answers."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from deploy.local.clinic import Photo
from deploy.local.stack import ROOT
from tests.e2e.conftest import Site
from tests.servers import missing

README = ROOT / "README.md"
CLIENT = ROOT / "docs" / "client.md"
LARGE = 8 * 1024**2
EXPIRED = "/expired"
BROKEN = "b1 [2] {3}.jpg"  # as a second download is called
RESULTS = ["results.csv", "results.json", "report.pdf", "results.fhir.json"]


def blocks(document: Path, language: str) -> list[str]:
    """Every block of code of a document in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)


def with_values(code: str, site: str, key: str) -> str:
    """The code with the two values that each reader has of their own, which stand at the start of a line."""
    values = {"SITE": site, "KEY": key}
    code, changed = re.subn(
        r'^(SITE|KEY)( ?= ?)"?[^"\s]*"?(?=\s)', lambda m: f'{m[1]}{m[2]}"{values[m[1]]}"', code, flags=re.MULTILINE
    )
    assert changed == len(values)
    return code


@pytest.fixture(autouse=True)
def programs() -> None:
    if lacking := [name for name in ("bash", "curl", "jq", "uuidgen") if shutil.which(name) is None]:
        missing(", ".join(lacking))


class Busy(BaseHTTPRequestHandler):
    """The API's door on a busy day: whoever comes to an address for the first time is asked to come again, and the
    first image's address for its upload has expired.
    """

    site: str
    address: str
    asked: list[str]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(self.path)
        if self.path == EXPIRED:
            self.end(403, b"")
            return
        if self.asked.count(self.path) == 1 and "/images/" not in self.path:
            self.send_response(429)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        kept = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
        response = httpx.request(self.command, self.site + self.path, headers=kept, content=body, timeout=60)
        answered = response.content
        if self.path == "/api/v1/batches" and response.is_success:
            made = response.json()
            for image in [image for image in made["images"] if image["upload"]][:1]:
                image["upload"]["url"] = self.address + EXPIRED
            answered = json.dumps(made).encode()
        self.end(response.status_code, answered, response.headers["Content-Type"])

    def end(self, status: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - as BaseHTTPRequestHandler calls them

    def log_message(self, *args: object) -> None:
        """Nobody reads along."""


@pytest.fixture
def busy(site: Site) -> Iterator[type[Busy]]:
    """A door of its own for one test."""

    class Door(Busy):
        asked: list[str] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        Door.site, Door.address = site.url, f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Door
        server.shutdown()


@pytest.fixture
def folder(tmp_path: Path, photos: list[Photo]) -> Path:
    """A clinic's folder: the manifest of the document, a picture for each name in it, one of them large, one broken."""
    [manifest] = blocks(CLIENT, "json")
    # The same clinic sends it in every test, and the same manifest never makes a second batch.
    manifest = manifest.replace("Tuesday", tmp_path.name).replace("b1.jpg", BROKEN)
    (tmp_path / "manifest.json").write_text(manifest)
    names = [name for case in json.loads(manifest)["cases"] for name in case["images"]]
    for name, photo in zip(names, photos, strict=False):
        (tmp_path / name).write_bytes(photo.data)
    pixels = np.asarray(Image.open(io.BytesIO(photos[0].data)).convert("RGB").resize((3200, 2400)), np.int16)
    noise = np.random.default_rng(0).integers(-6, 7, pixels.shape)
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(tmp_path / "a2.png", compress_level=1)
    assert (tmp_path / "a2.png").stat().st_size > LARGE
    (tmp_path / BROKEN).write_bytes(photos[1].data[:500])
    (tmp_path / "a1 detail.jpg").write_bytes(photos[0].data[:500])
    return tmp_path


def run(argv: list[str], folder: Path) -> str:
    """What a program prints. It must end well."""
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(argv: list[str], folder: Path) -> str:
    """What a program complains of. It must end badly, and have printed nothing that it did."""
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode != 0, done.stdout) == (True, ""), done.stdout
    return done.stderr


def check_results(folder: Path, printed: str) -> None:
    """The results of the document's batch: two cases answered, one of them by the other of its two images, and one
    refused for its broken file.
    """
    assert "The batch is completed_with_failures." in printed
    for image in ("A-1, a1 detail.jpg", f"B-1, {BROKEN}"):
        assert re.search(rf"^{re.escape(image)}: \w+\. \w", printed, re.MULTILINE), printed
    with (folder / "results.csv").open(newline="") as file:
        rows = {row["case_id"]: row["status"] for row in csv.DictReader(file)}
    assert rows == {"A-1": "answered", "A-2": "answered", "B-1": "no_result"}
    assert [row["case_id"] for row in json.loads((folder / "results.json").read_text())["results"]] == list(rows)
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert json.loads((folder / "results.fhir.json").read_text())["resourceType"] == "Bundle"


def check_requests(door: type[Busy], site: Site, name: str) -> None:
    """The door sent everybody away once, for the address that had expired another was asked, the large file came in
    parts, and the second run made no second batch.
    """
    assert door.asked.count("/api/v1/batches") == 3
    ends = [path.rpartition("/")[2] for path in door.asked]
    assert (ends.count("parts"), ends.count("expired"), ends.count("upload-url")) == (1, 1, 1)
    headers = {"Authorization": f"Bearer {site.accounts['api_key']}"}
    made = httpx.get(f"{site.url}/api/v1/batches", params={"page_size": 500}, headers=headers).json()["results"]
    assert [batch["name"] for batch in made].count(name) == 1


FAIL_ONE = """
from django.db.models import F
from webapp.cases.models import Batch
from webapp.inference.models import CaseResult, Job, Result
job = Job.objects.get(batch__name={name!r}, image__filename="a2.png")
job.batch.cases.filter(pk=job.image.case_id).update(answer=None, advice="", top_class="", risk=-1, uncertainty=None)
CaseResult.objects.filter(case=job.image.case_id).delete()
Result.objects.filter(job=job).delete()
Job.objects.filter(pk=job.pk).update(state="failed", reason="image_missing")
Batch.objects.filter(pk=job.batch_id).update(failures=F("failures") + 1)
"""
TRIES = """
from webapp.inference.models import Job
jobs = Job.objects.filter(batch__name={name!r}, image__filename="a2.png").order_by("pk")
print(*jobs.values_list("state", flat=True))
"""


def run_again(argv: list[str], folder: Path, site: Site) -> None:
    """Once more from the start, after an image has lost its answer: that one is asked again, and nothing else is."""

    def shell(code: str) -> str:
        return site.stack.manage("shell", "--no-imports", "--command", code.format(name=folder.name)).strip()

    shell(FAIL_ONE)
    for name in RESULTS:
        (folder / name).unlink()
    check_results(folder, run(argv, folder))
    assert shell(TRIES) == "failed succeeded"


def check_deleted(site: Site, printed: str) -> None:
    """The photos of case A-1 are gone from every batch, as was printed, and its results are not."""
    headers = {"Authorization": f"Bearer {site.accounts['api_key']}"}
    with httpx.Client(base_url=f"{site.url}/api/v1/", headers=headers) as api:
        found = api.get("cases", params={"case_id": "A-1", "page_size": 500}).json()["results"]
        cases = [api.get(f"cases/{case['id']}").json() for case in found]
    assert {image["state"] for case in cases for image in case["images"]} == {"purged"}
    assert any(case["result"] for case in cases)
    assert printed.count("A-1: purged") == len(cases)


def test_the_batch_of_the_document_with_curl(site: Site, busy: type[Busy], folder: Path) -> None:
    written = [code.replace("page_size=500", "page_size=1") for code in blocks(CLIENT, "bash")]
    script = with_values("\n".join(written), busy.address, site.accounts["api_key"])
    check_results(folder, run(["bash", "-c", script], folder))
    run_again(["bash", "-c", script], folder, site)
    check_requests(busy, site, folder.name)
    functions = with_values("\n".join([*written[:2], written[-1]]), busy.address, site.accounts["api_key"])
    for wrong, told in (('""', "your id of the case"), ('" "', "parameter_invalid"), ("X-1", "There is no case X-1.")):
        assert told in refused(["bash", "-c", f"{functions}\ndelete_photos {wrong}"], folder)
    check_deleted(site, run(["bash", "-c", f"{functions}\ndelete_photos A-1"], folder))


def test_the_batch_of_the_document_in_python(site: Site, busy: type[Busy], folder: Path) -> None:
    program, deletion = blocks(CLIENT, "python")
    (folder / "client.py").write_text(with_values(program, busy.address, site.accounts["api_key"]))
    check_results(folder, run([sys.executable, "client.py", "."], folder))
    run_again([sys.executable, "client.py", "."], folder, site)
    check_requests(busy, site, folder.name)
    (folder / "delete_photos.py").write_text(deletion)
    for wrong, told in (("", "delete_photos.py <your id"), (" ", "delete_photos.py <your id"), ("X-1", "no case X-1.")):
        assert told in refused([sys.executable, "delete_photos.py", wrong], folder)
    check_deleted(site, run([sys.executable, "delete_photos.py", "A-1"], folder))


def test_the_session_of_the_readme(site: Site, folder: Path) -> None:
    [session] = [code for code in blocks(README, "bash") if "results.csv" in code]
    printed = run(["bash", "-euo", "pipefail", "-c", with_values(session, site.url, site.accounts["api_key"])], folder)
    [row] = csv.DictReader(io.StringIO(printed[printed.index("case_id,") :]))
    assert (row["case_id"], row["status"]) == ("A-1", "answered")
