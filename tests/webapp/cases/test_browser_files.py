"""Files that a script of a page sends: by their own names, each once, by who is signed in."""

import csv
import json
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from urllib3.util import parse_url

from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM
from webapp.cases.browser_files import with_files_of
from webapp.cases.manifest.mistakes import error_table
from webapp.cases.manifest.reading import from_csv
from webapp.cases.models import Batch, Image
from webapp.cases.services import cancel_batch

pytestmark = pytest.mark.django_db
NEW = reverse("cases:batch_new")
MB = 1024**2
JSON = {"Accept": "application/json"}


def announce(client: Client, *names: str, key: str, **fields: str) -> Any:
    form = {"key": key, "grouping": "each", "capture": "phone", "names": json.dumps(names), **fields}
    return client.post(NEW, form, headers=JSON)


def ask(client: Client, made: Any, *files: tuple[str, int]) -> Any:
    """Where files of these names and sizes go, as a script asks."""
    names, sizes = ([*listed] for listed in zip(*files, strict=True))
    said = {"names": json.dumps(names), "sizes": json.dumps(sizes)}
    return client.post(made["batch_files"], said, headers=JSON).json()


def send(client: Client, made: Any, name: str) -> Any:
    """Send a file as a script does; gives how many were stored, and of which names none was."""
    asked = ask(client, made, (name, 1))
    for place in asked["places"]:
        client.put(parse_url(place["upload"]["url"]).request_uri, b"x", "application/octet-stream")
        done = client.post(made["complete"], {"images": [place["id"]]}, "application/json").json()
        assert done["images"] == [{"id": place["id"], "state": "stored", "problem": None}]
    return {"stored": len(asked["places"]), "before": asked["before"], "unknown": asked["unknown"]}


@pytest.mark.parametrize("name", ["Screenshot 9.41\u202fAM.png", "a\u00a0b.jpg", "salt &amp; pepper.jpg"])
def test_a_picture_arrives_whatever_its_name_holds(client: Client, clinic: Organisation, name: str) -> None:
    made = announce(client, name, key=str(uuid4())).json()

    assert send(client, made, name) == {"stored": 1, "before": [], "unknown": []}
    assert set(Image.objects.values_list("filename", "state")) == {(name, "stored")}


def test_a_name_that_came_before_is_told_from_one_that_nothing_waits_for(client: Client, clinic: Organisation) -> None:
    made = announce(client, "a.jpg", key=str(uuid4())).json()

    send(client, made, "a.jpg")
    assert send(client, made, "a.jpg") == {"stored": 0, "before": ["a.jpg"], "unknown": []}
    assert send(client, made, "b.jpg") == {"stored": 0, "before": [], "unknown": ["b.jpg"]}


def test_the_same_page_makes_the_same_batch_of_the_same_files(client: Client, clinic: Organisation) -> None:
    key = str(uuid4())
    first = announce(client, "a.jpg", key=key).json()

    assert announce(client, "a.jpg", key=key).json() == first
    assert announce(client, "a.jpg", "b.jpg", key=key).json()["batch"] != first["batch"]
    assert announce(client, "a.jpg", key=str(uuid4())).json()["batch"] != first["batch"]
    assert Batch.objects.count() == 3


def test_a_page_sent_twice_without_a_script_makes_one_batch(client: Client, clinic: Organisation) -> None:
    form = {"key": str(uuid4()), "grouping": "each", "capture": "phone"}
    answers = [client.post(NEW, {**form, "files": SimpleUploadedFile("all.zip", b"PK")}) for _ in range(2)]

    assert {answer.headers["Location"] for answer in answers} == {reverse("cases:batch", args=[Batch.objects.get().pk])}
    cancel_batch(actor=SYSTEM, batch=Batch.objects.get())
    told = client.post(NEW, {**form, "files": SimpleUploadedFile("all.zip", b"PK")}, follow=True)
    assert "These files were sent before" in told.content.decode()


def test_of_a_cancelled_batch_nobody_is_told_that_it_was_submitted(client: Client, clinic: Organisation) -> None:
    made = announce(client, "a.jpg", key=str(uuid4())).json()
    cancel_batch(actor=SYSTEM, batch=Batch.objects.get())
    told = ask(client, made, ("a.jpg", 1))["errors"]
    assert told == ["This batch was cancelled. Put further files in a new batch."]


def test_a_script_is_told_which_files_the_table_leaves_out(client: Client, clinic: Organisation) -> None:
    form = {"key": str(uuid4()), "grouping": "each", "capture": "phone", "names": json.dumps(["a.jpg", "extra.jpg"])}
    table = SimpleUploadedFile("cases.csv", b"case_id,images\nL1,a.jpg\n")
    made = client.post(NEW, {**form, "files": table}, headers=JSON).json()

    assert made["unlisted"] == ["extra.jpg"]
    for _ in range(2):  # said as long as it is true
        html = client.get(made["batch"]).content.decode()
        assert "1 file left out</summary>" in html
        assert "extra.jpg</td><td>No row of the table names this file, so it was left out." in html


@pytest.mark.parametrize(
    ("listed", "name"),
    [("M\u00fcller.jpg", "Mu\u0308ller.jpg"), ("IMG_1.JPG", "IMG_1.jpg"), ("c;c.jpg", "c.jpg")],
    ids=["accents", "capitals", "twice"],
)
def test_a_table_means_the_file_that_is_called_so_by_a_disk(
    client: Client, clinic: Organisation, listed: str, name: str
) -> None:
    form = {"key": str(uuid4()), "grouping": "each", "capture": "phone", "names": json.dumps([name])}
    table = SimpleUploadedFile("cases.csv", f"case_id,images\nL1,{listed}\n".encode())
    made = client.post(NEW, {**form, "files": table}, headers=JSON).json()

    assert made["unlisted"] == []
    assert send(client, made, name) == {"stored": 1, "before": [], "unknown": []}
    assert [image.filename for image in Image.objects.all()] == [name]


def of_a_table(client: Client, *listed: str) -> Any:
    """A batch of which no file was chosen yet: a case for each name."""
    form = {"key": str(uuid4()), "grouping": "each", "capture": "phone"}
    rows = "\n".join(["case_id,images", *(f"L{n},{name}" for n, name in enumerate(listed))])
    return client.post(NEW, {**form, "files": SimpleUploadedFile("cases.csv", rows.encode())}, headers=JSON).json()


@pytest.mark.parametrize(
    ("listed", "name"),
    [("M\u00fcller.jpg", "Mu\u0308ller.jpg"), ("IMG_1.JPG", "IMG_1.jpg")],
    ids=["accents", "capitals"],
)
def test_a_file_that_comes_after_its_table_is_found_as_people_read_its_name(
    client: Client, clinic: Organisation, listed: str, name: str
) -> None:
    made = of_a_table(client, listed, "b.jpg")

    assert send(client, made, name) == {"stored": 1, "before": [], "unknown": []}
    assert set(Image.objects.values_list("filename", "state")) == {(name, "stored"), ("b.jpg", "awaiting_upload")}
    assert send(client, made, name)["before"] == [name]


@pytest.mark.parametrize("name", ["A.jpg", "b.jpeg"], ids=["several", "without its ending"])
def test_a_file_that_comes_after_its_table_is_given_to_no_image_by_guess(
    client: Client, clinic: Organisation, name: str
) -> None:
    made = of_a_table(client, "a.jpg", "a.JPG", "b")

    assert send(client, made, name) == {"stored": 0, "before": [], "unknown": [name]}
    assert set(Image.objects.values_list("filename", flat=True)) == {"a.jpg", "a.JPG", "b"}


def test_a_name_that_several_files_may_mean_takes_none_of_them(client: Client, clinic: Organisation) -> None:
    form = {"key": str(uuid4()), "grouping": "each", "capture": "phone", "names": json.dumps(["a.jpg", "a.png"])}
    table = SimpleUploadedFile("cases.csv", b"case_id,images\nL1,a\n")
    refused = client.post(NEW, {**form, "files": table}, headers=JSON)
    told = (
        "Column images, row 2: a fits several of the files: a.jpg, a.png. "
        "Name it as its file is named, with its ending."
    )
    assert (refused.status_code, refused.json()["errors"]) == (422, [told])
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("rows", "names", "also"),
    [
        (b"L1,a.jpg\nL2,a.jpg\n", ["a.jpg", "a.jpg"], ["2 of the files have it"] * 2),
        (b"L1,a.jpg\n", ["a.jpg", "a.jpg", "b.jpg"], ["2 of the files have it"]),
        (b"L1,a.jpg\nL2,a.jpg\n", ["a.jpg"], ["case L1 has it, too"]),
        (b"L1,A.JPG\nL2,a\n", ["a.jpg"], ["case L1 has it, too"]),
        (b"L1,a.jpg\nL2,a.jpg\n", [], ["case L1 has it, too"]),
    ],
)
def test_a_picture_becomes_nobody_elses_by_a_name_that_others_have(
    client: Client, clinic: Organisation, rows: bytes, names: list[str], also: list[str]
) -> None:
    form = {"key": str(uuid4()), "grouping": "each", "capture": "phone", "names": json.dumps(names)}
    table = SimpleUploadedFile("cases.csv", b"case_id,images\n" + rows)
    refused = client.post(NEW, {**form, "files": table}, headers=JSON)

    assert refused.status_code == 422
    told = unquote(refused.json()["error_table"])
    assert [told.count(words) for words in dict.fromkeys(also)] == [len(also)]
    assert told.count("image_ambiguous") == len(also)
    assert not Batch.objects.exists()


def test_pictures_of_one_name_that_a_table_leaves_out_are_left_out(client: Client, clinic: Organisation) -> None:
    form = {
        "key": str(uuid4()),
        "grouping": "each",
        "capture": "phone",
        "names": json.dumps(["a.jpg", "b.jpg", "b.jpg"]),
    }
    table = SimpleUploadedFile("cases.csv", b"case_id,images\nL1,a.jpg\n")
    made = client.post(NEW, {**form, "files": table}, headers=JSON)
    assert made.json()["unlisted"] == ["b.jpg", "b.jpg"]


def test_a_script_is_told_that_nobody_is_signed_in_any_more(client: Client) -> None:
    for address in (NEW, reverse("cases:batch_files", args=[uuid4()]), reverse("patient:photo")):
        answer = client.post(address, {}, headers=JSON)
        assert answer.status_code == 401
        assert "Sign in in another tab" in answer.json()["errors"][0]
        assert client.post(address, {}).status_code == 302


def test_of_the_names_announced_a_bad_one_is_named_and_the_others_are_kept(
    client: Client, clinic: Organisation
) -> None:
    bad = ["C:\\b.jpg", "x" * 256, "half \ud800.jpg", "nul \0.jpg", "9.41\u202fAM\\.jpg"]
    made = announce(client, "a.jpg", *bad, "c.jpg", key=str(uuid4())).json()

    assert set(Image.objects.values_list("filename", flat=True)) == {"a.jpg", "c.jpg"}
    assert made["unlisted"] == bad  # so the page sends none of them
    for _ in range(2):
        html = client.get(made["batch"]).content.decode()
        assert "5 files left out</summary>" in html
        assert html.count("Left out, for a name that is too long") == 5
        assert "half \ufffd.jpg</td>" in html
        assert "nul \ufffd.jpg</td>" in html
        assert "9.41\u202fAM\\.jpg</td>" in html
    alone = announce(client, bad[0], key=str(uuid4()))
    assert alone.status_code == 422
    assert bad[0] in alone.json()["errors"][0]


def test_files_keep_their_own_names_beside_one_with_a_bad_name(client: Client, clinic: Organisation) -> None:
    names = ["a\u202f1.jpg", "c\u202f1.jpg"]
    made = announce(client, *names, key=str(uuid4())).json()
    asked = ask(client, made, (names[0], 1), ("\\b.jpg", 2), (names[1], 3))

    assert asked["unknown"] == ["\\b.jpg"]
    found = {place["file"]: Image.objects.get(pk=place["id"]).filename for place in asked["places"]}
    assert found == {0: names[0], 2: names[1]}


def test_files_of_one_name_go_to_places_of_their_own(client: Client, clinic: Organisation) -> None:
    made = announce(client, "a.jpg", "a.jpg", key=str(uuid4())).json()
    asked = ask(client, made, ("a.jpg", 1), ("a.jpg", 1), ("a.jpg", 1))
    assert len({place["id"] for place in asked["places"]}) == 2
    assert asked["unknown"] == ["a.jpg"]


def test_an_address_takes_a_picture_of_the_size_that_was_said_and_a_large_one_in_parts(
    client: Client, clinic: Organisation
) -> None:
    made = announce(client, "a.jpg", "large.tif", "empty.jpg", key=str(uuid4())).json()
    small, large, empty = ask(client, made, ("a.jpg", 3), ("large.tif", 8 * MB + 1), ("empty.jpg", 0))["places"]

    address = parse_url(small["upload"]["url"]).request_uri
    assert [client.put(address, data, "image/jpeg").status_code for data in (b"four", b"one")] == [403, 204]
    assert large["upload"] is None
    parts = client.post(large["parts"], {"size": 8 * MB + 1}, "application/json").json()["parts"]
    assert [part["size"] for part in parts] == [8 * MB, 1]
    nothing = client.put(parse_url(empty["upload"]["url"]).request_uri, headers={"content-length": "0"})
    assert nothing.status_code == 204


def test_a_picture_that_is_too_large_gets_no_address(client: Client, clinic: Organisation) -> None:
    made = announce(client, "a.tif", key=str(uuid4())).json()
    assert ask(client, made, ("a.tif", 25 * MB + 1))["errors"] == ["The file is larger than 25 MB. Send less."]


def test_a_page_that_is_older_than_the_site_is_told_so_and_not_that_all_is_there(
    client: Client, clinic: Organisation
) -> None:
    made = announce(client, "a.jpg", key=str(uuid4())).json()
    form = {"names": '["a.jpg"]', "files": SimpleUploadedFile("a.jpg", b"1")}
    refused = client.post(made["batch_files"], form, headers=JSON)
    assert (refused.status_code, [*refused.json()]) == (409, ["errors"])  # of which such a page shows what is in it
    assert "Reload it" in refused.json()["errors"][0]


@pytest.mark.parametrize("sizes", ["[]", '["1"]', "[-1]", "1", "[1"])
def test_what_no_page_would_say_of_sizes_is_not_heard(client: Client, clinic: Organisation, sizes: str) -> None:
    made = announce(client, "a.jpg", key=str(uuid4())).json()
    asked = client.post(made["batch_files"], {"names": '["a.jpg"]', "sizes": sizes}, headers=JSON)
    assert asked.json() == {"places": [], "before": [], "unknown": []}


@pytest.mark.parametrize("names", ["[" + "{}," * 300_000 + "{}]", "[" * 100_000], ids=["many", "deep"])
def test_what_no_page_would_announce_is_not_built(client: Client, clinic: Organisation, names: str) -> None:
    form = {"key": str(uuid4()), "grouping": "each", "capture": "phone", "names": names}
    refused = client.post(NEW, form, headers=JSON)
    assert (refused.status_code, b"Left out" in refused.content) == (422, False)


def test_a_mistake_that_begins_with_a_files_name_is_no_formula_in_the_table_of_mistakes() -> None:
    manifest, _ = with_files_of(from_csv(b"case_id,images\nA-1,=cmd|x\n"), ["=cmd|x.jpg", "=cmd|x.png"])
    [_, [*_, message]] = csv.reader(error_table(manifest.errors).splitlines())
    assert message.startswith("'=cmd|x fits several")
