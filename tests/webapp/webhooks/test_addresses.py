"""Nothing reaches a private network: not by its address, not by a name, not by a name that changes its mind."""

import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from tests.webapp.webhooks.receiver import Receiver, Reply, receiving
from webapp.webhooks import post as room
from webapp.webhooks.addresses import TargetRefusedError, parse
from webapp.webhooks.post import post

NAME = "hooks.clinic.example"
PUBLIC = "93.184.215.14"
ANY = "0.0.0.0"  # noqa: S104 - connected to, not bound
REFUSED = [
    *("127.0.0.1", "127.8.8.8", ANY, "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
    *("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "198.18.0.1", "192.0.2.1", "224.0.0.1"),
    *("240.0.0.1", "255.255.255.255", "192.88.99.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1"),
    *("fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
    *("64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1"),
]
ALLOWED = [PUBLIC, "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]


class Names:
    """What the resolver says: answers in turn, then the last one for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[list[str]] = []
        self.asked = 0
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: str, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != NAME:
            return self._real(host, port, *args, **kwargs)
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in address], socket.SOCK_STREAM, 6, "", (address, port)) for address in answer]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that somebody connected to."""
    made: list[str] = []

    def connect(address: tuple[str, int], **_: Any) -> socket.socket:
        made.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    return made


def send(url: str) -> room.Answer:
    return post(url, body=b"{}", headers={})


@pytest.mark.parametrize("address", REFUSED)
def test_nothing_is_sent_to_a_private_or_special_address(
    address: str, settings: Settings, names: Names, connections: list[str]
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = False
    for answer in ([address], [PUBLIC, address]):  # one bad address among good ones spoils them all
        names.answers = [answer]
        found = send(f"https://{NAME}/hook")
        assert (found.status, connections) == (None, [])
        assert "private or reserved network" in found.error
    literal = f"[{address.partition('%')[0]}]" if ":" in address else address
    with pytest.raises(TargetRefusedError):
        parse(f"https://{literal}/hook")


@pytest.mark.parametrize("address", ALLOWED)
def test_public_addresses_are_connected_to(
    address: str, settings: Settings, names: Names, connections: list[str]
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = False
    names.answers = [[address]]
    send(f"https://{NAME}/hook")
    assert connections == [address]


@pytest.mark.parametrize(
    "url",
    [
        *("http://clinic.example/", "ftp://clinic.example/", "clinic.example", "https://", "https:///hook", "//x/y"),
        *("https://user@clinic.example/", "https://user:word@clinic.example/", "https://clinic.example/#part"),
        *("https://clinic.example:22/", "https://clinic.example:25/", "https://clinic.example:65536/"),
        *(
            "https://clinic.example:x/",
            "https://localhost/",
            "https://a.localhost/",
            "https://[::1/",
            "https://2130706433/",
        ),
        *("https://clinic.example/a b", "https://clinic.example/\r\nHost: x", "https://klinik-übung.example/"),
        *("https://0x7f.1/", "https://127.1/", f"https://clinic.example/{'a' * 500}"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused(url: str, settings: Settings, connections: list[str]) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = False
    assert send(url).status is None
    assert connections == []


@given(text=st.text(max_size=40), prefix=st.sampled_from(["", "https://", "https://clinic.example", "https://["]))
def test_whatever_somebody_writes_is_read_or_refused(text: str, prefix: str) -> None:
    try:
        target = parse(prefix + text)
    except TargetRefusedError:
        return
    assert target.path.isascii()
    assert target.port in (80, 443) or target.port >= 1024


def test_a_name_that_changes_its_mind_is_looked_up_once(
    settings: Settings, names: Names, connections: list[str]
) -> None:
    """DNS rebinding: public when it is checked, the site's own machine when it is connected to."""
    settings.WEBHOOK_ALLOW_PRIVATE = False
    names.answers = [[PUBLIC], ["127.0.0.1"]]
    send(f"https://{NAME}/hook")
    assert (names.asked, connections) == (1, [PUBLIC])


def test_an_intranet_is_reached_where_the_setting_allows_it_and_metadata_never(
    settings: Settings, names: Names, connections: list[str]
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    for scheme in ("http", "https"):
        names.answers = [["10.1.2.3"]]
        send(f"{scheme}://{NAME}/hook")
        for never in ("169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", ANY):
            names.answers = [[never]]
            assert "private or reserved" in send(f"{scheme}://{NAME}/hook").error
    assert connections == ["10.1.2.3"] * 2
    names.answers = [[PUBLIC]]
    assert "has to start with https://" in send(f"http://{NAME}/hook").error
    assert len(connections) == 2


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """An authority that the site trusts."""
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    monkeypatch.setattr(room, "_tls", lambda: trusting)
    return authority


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Receiver]:
    """A receiver whose certificate says that it is NAME."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME).configure_cert(context)
    with receiving(context) as receiver:
        yield receiver


def test_the_checked_address_is_connected_to_under_the_name(secure: Receiver, names: Names) -> None:
    names.answers = [["127.0.0.1"]]
    found = send(f"https://{NAME}:{secure.port}/a/b?c=d")
    assert (found.status, found.error) == (200, "")
    [request] = secure.received
    assert (request.headers["host"], request.path) == (f"{NAME}:{secure.port}", "/a/b?c=d")


def test_a_certificate_of_another_name_is_refused(secure: Receiver, names: Names) -> None:
    found = send(f"https://127.0.0.1:{secure.port}/")
    assert found.status is None
    assert "certificate is not valid" in found.error
    assert secure.received == []


def test_a_certificate_of_nobody_known_is_refused(names: Names) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(NAME).configure_cert(context)
    names.answers = [["127.0.0.1"]]
    with receiving(context) as receiver:
        assert "certificate is not valid" in send(f"https://{NAME}:{receiver.port}/").error
        assert receiver.received == []


@pytest.mark.parametrize(
    ("scheme", "greeting", "words"),
    [
        ("http", b"220 mail.example ESMTP\r\n", "no answer of HTTP. Correct the address"),
        ("http", b"", "closed before an answer came. Look into the log"),
        ("https", b"220 mail.example ESMTP\r\n", "No secure connection could be made. Let a server with TLS"),
    ],
)
def test_a_server_of_another_kind_is_told_apart(scheme: str, greeting: bytes, words: str) -> None:
    def greet() -> None:
        with server.accept()[0] as came:
            came.recv(4096)
            came.sendall(greeting)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=greet, daemon=True).start()
        assert words in send(f"{scheme}://127.0.0.1:{server.getsockname()[1]}/").error


def test_an_address_that_does_not_answer_gives_way_to_the_next(secure: Receiver, names: Names) -> None:
    names.answers = [["127.0.0.2", "127.0.0.1"]]
    assert send(f"https://{NAME}:{secure.port}/").status == 200


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120), ("0", 0), ("999999999", 86400), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("soon", None), ("-5", None)],
)
def test_retry_after_is_read_as_it_may_be_written(header: str, seconds: float | None) -> None:
    with receiving() as receiver:
        receiver.reply = Reply(503, {"Retry-After": header})
        wait = send(receiver.url).wait
    assert (wait.total_seconds() if wait is not None else None) == seconds
