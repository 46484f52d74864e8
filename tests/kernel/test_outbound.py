"""Requests to addresses that others gave us reach no network of ours, follow nobody and end in time."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from apps.kernel import outbound
from apps.kernel.outbound import Client, Limits, OutboundFailed, OutboundRefused

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhi"


@dataclass
class Server:
    """Answers every connection on the loopback with pieces of bytes, as slowly as they come."""

    pieces: Callable[[], Iterator[bytes]]
    tls: ssl.SSLContext | None = None
    heard: list[bytes] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            with self.tls.wrap_socket(connection, server_side=True) if self.tls else connection as talk:
                self.heard.append(talk.recv(65_536))
                for piece in self.pieces():
                    talk.sendall(piece)
        except OSError:
            self.gone.set()

    def url(self, path: str = "/", host: str = "hooks.example", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def client(self, **options: object) -> Client:
        """One that may reach this server, whatever the name."""
        told = {
            "inside": ("127.0.0.0/8",),
            "ports": frozenset({self.port}),
            "resolver": lambda host, port: ["127.0.0.1"],
        }
        return Client(**told | options)  # type: ignore[arg-type]


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start(*pieces: bytes, endless: bytes | None = None, tls: ssl.SSLContext | None = None) -> Server:
        def say() -> Iterator[bytes]:
            yield from pieces
            if endless is not None:
                yield from repeat(endless)

        started.append(Server(say, tls))
        return started[-1]

    yield start
    for server in started:
        server.listener.close()


def outcomes(outcome: str) -> float:
    return REGISTRY.get_sample_value("rustok_kernel_outbound_requests_total", {"outcome": outcome}) or 0.0


def test_an_answer_comes_back_whole(serve: Callable[..., Server]) -> None:
    server, before = serve(OK), outcomes("answered")

    answer = server.client().send("POST", server.url("/in?a=1"), body=b"{}", headers={"Host": "other", "X-Sig": "s"})

    assert (answer.status, answer.headers["x-a"], answer.body) == (200, "b", b"hi")
    assert server.heard[0].startswith(b"POST /in?a=1 HTTP/1.1\r\n")
    assert f"Host: hooks.example:{server.port}\r\n".encode() in server.heard[0]
    assert b"X-Sig: s" in server.heard[0]
    assert b"User-Agent: RusToK" in server.heard[0]
    assert outcomes("answered") == before + 1


# --- Where we do not go ---------------------------------------------------------------------------------------

INSIDE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",  # noqa: S104
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::", "2001:0:7f00:1::",
]  # fmt: skip
SPELLED = [
    "http://127.0.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/",
    "http://127.1/", "http://0/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:7f00:0001]/", "http://localhost/", "http://localhost./", "http://LOCALHOST/",
    "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://017700000001/",
]  # fmt: skip
MALFORMED = [
    "", "/", "hooks.example", "//hooks.example/", "ftp://hooks.example/", "file:///etc/passwd", "gopher://h:80/_x",
    "javascript:alert(1)", "data:,x", "http://", "http:///x", "http://user:hush@hooks.example/", "http://a@hooks.example",
    "http://hooks.example:22/", "http://hooks.example:0/", "http://hooks.example:99999/", "http://hooks.example:x/",
    "http://[::1/", "http://hooks.example\\@127.0.0.1/", "http://hooks.example\r\nX: y/", "http://hooks.example/\x00",
    "http://hooks.example/a\tb", "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://[fe80::1%25eth0]/",
    "http://hooks.example/" + "a" * 2048, "HTTP://", "http:hooks.example", "unix:/run/x.sock", "dict://h:11211/stat",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_that_are_not_public_are_not_reached_whatever_the_name(address: str) -> None:
    client = Client(resolver=lambda host, port: [address], schemes=("http",))

    with pytest.raises(OutboundRefused, match="not public"):
        client.send("GET", "http://hooks.example/")


@pytest.mark.parametrize("url", SPELLED)
def test_every_spelling_of_a_private_address_is_refused(url: str) -> None:
    with pytest.raises(OutboundRefused, match="not public"):
        Client(schemes=("http",)).send("GET", url)


@pytest.mark.parametrize("url", MALFORMED)
def test_what_is_no_plain_web_address_is_refused_before_a_name_is_resolved(url: str) -> None:
    asked: list[str] = []
    client = Client(resolver=lambda host, port: asked.append(host) or ["93.184.216.34"], schemes=("http", "https"))

    with pytest.raises(OutboundRefused) as refusal:
        client.send("GET", url)

    assert asked == []
    assert "hush" not in refusal.value.detail


def test_plain_http_is_refused_where_only_https_is_allowed() -> None:
    with pytest.raises(OutboundRefused, match="must be one of https"):
        Client(schemes=("https",)).send("GET", "http://hooks.example/")


def test_a_name_with_one_address_inside_is_refused_altogether() -> None:
    client = Client(resolver=lambda host, port: ["93.184.216.34", "10.0.0.1"], schemes=("http",))

    with pytest.raises(OutboundRefused, match="not public"):
        client.send("GET", "http://hooks.example/")


def test_a_name_is_resolved_once_and_what_it_leads_to_later_does_not_count(serve: Callable[..., Server]) -> None:
    server = serve(OK)
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])

    assert server.client(resolver=lambda host, port: next(answers)).send("GET", server.url()).status == 200
    assert next(answers) == ["10.0.0.1"]  # nobody had asked again


def test_a_redirect_is_an_answer_and_is_not_followed(serve: Callable[..., Server]) -> None:
    inner = serve(OK)
    server = serve(
        f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{inner.port}/\r\nContent-Length: 0\r\n\r\n".encode()
    )

    answer = server.client(ports=frozenset({server.port, inner.port})).send("GET", server.url())

    assert (answer.status, answer.headers["location"]) == (302, f"http://127.0.0.1:{inner.port}/")
    assert inner.heard == []


# --- How long and how much ------------------------------------------------------------------------------------

QUICK = Limits(connect=1, read=5, total=0.4, size=100_000)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"HTTP/1.1 200 OK\r\n", None),
        (b"HTTP/1.1 200 OK\r\n\r\nbody without a length", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        (b"", None),
    ],
)
def test_a_side_that_drips_is_left_at_the_deadline(serve: Callable[..., Server], first: bytes, then: None) -> None:
    held = threading.Event()

    def drip() -> Iterator[bytes]:
        yield first
        while not held.wait(0.02):
            yield b"1\r\nx\r\n" if b"chunked" in first else b"x"

    server = serve()
    server.pieces = drip

    with pytest.raises(OutboundFailed, match="it took too long"):
        server.client(limits=QUICK).send("GET", server.url())
    assert server.gone.wait(10)
    held.set()


@pytest.mark.parametrize("head", [b"", b"Content-Length: 9999999999\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_an_endless_answer_is_cut_off(serve: Callable[..., Server], head: bytes) -> None:
    block = b"10000\r\n" + b"x" * 65_536 + b"\r\n" if b"chunked" in head else b"x" * 65_536
    server = serve(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", endless=block)

    with pytest.raises(OutboundFailed, match="more than 100,000 bytes"):
        server.client(limits=Limits(size=100_000)).send("GET", server.url())
    assert server.gone.wait(10)


def test_a_compressed_answer_is_not_inflated(serve: Callable[..., Server]) -> None:
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00")

    assert server.client().send("GET", server.url()).body == b"\x1f\x8b\x08\x00"


@pytest.mark.parametrize(
    "said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", b"HTTP/1.1 abc\r\n\r\n"]
)
def test_nonsense_is_a_failure_of_the_other_side(serve: Callable[..., Server], said: bytes) -> None:
    server, before = serve(said), outcomes("failed")

    with pytest.raises(OutboundFailed):
        server.client().send("GET", server.url())
    assert outcomes("failed") == before + 1


def test_a_name_server_that_does_not_answer_is_not_waited_for() -> None:
    held = threading.Event()
    client = Client(resolver=lambda host, port: [str(held.wait(30))], limits=Limits(total=0.2), schemes=("http",))

    with pytest.raises(OutboundFailed, match="could not be resolved"):
        client.send("GET", "http://hooks.example/")
    held.set()


def test_a_closed_port_and_an_unknown_name_are_failures() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(OutboundFailed, match="did not answer properly"):
        Client(inside=("127.0.0.0/8",), ports=frozenset({port})).send("GET", f"http://127.0.0.1:{port}/")
    with pytest.raises(OutboundFailed, match="could not be resolved"):
        Client(resolver=unknown, schemes=("http",)).send("GET", "http://hooks.example/")


def test_a_header_cannot_smuggle_another(serve: Callable[..., Server]) -> None:
    server = serve(OK)

    with pytest.raises(OutboundFailed):
        server.client().send("GET", server.url(), headers={"X-A": "b\r\nX-Evil: c"})
    assert not any(b"X-Evil" in heard for heard in server.heard)


# --- TLS --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of `hooks.example`, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate and is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=hooks.example", "-addext", "subjectAltName=DNS:hooks.example",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "cert.pem", folder / "key.pem"


def test_the_certificate_is_that_of_the_name_though_the_address_is_pinned(
    serve: Callable[..., Server], certificate: tuple[Path, Path]
) -> None:
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.sni_callback = lambda talk, name, _: names.append(name)
    server = serve(OK, tls=context)
    client = server.client(authorities=str(certificate[0]), schemes=("https",))

    assert client.send("GET", server.url(scheme="https")).body == b"hi"
    assert names == ["hooks.example"]
    with pytest.raises(OutboundFailed):
        client.send("GET", server.url(scheme="https", host="other.example"))
    with pytest.raises(OutboundFailed):
        server.client(schemes=("https",)).send("GET", server.url(scheme="https"))  # an authority nobody knows


def test_the_defaults_are_those_of_the_settings() -> None:
    assert outbound.Client().ports == {80, 443}
    assert outbound.Client().inside == ()
