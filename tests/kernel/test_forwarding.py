"""What proxies say counts as far as they are trusted, and not a hop further."""

from typing import Any

import pytest
from django.conf import LazySettings
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from apps.kernel import client, forwarding

TRUSTED = ("10.0.0.0/8", "2001:db8:aaaa::/48", "unix")
VISITOR = "203.0.113.7"


def seen(peer: str, trusted: tuple[str, ...] = TRUSTED, **headers: str) -> forwarding.Client:
    meta = {"REMOTE_ADDR": peer, "HTTP_HOST": "shop.example:8080"} | {
        f"HTTP_{name.upper()}": value for name, value in headers.items()
    }
    return forwarding.find(meta, trusted=trusted)


@pytest.mark.parametrize(
    ("peer", "chain", "address"),
    [
        (VISITOR, None, VISITOR),
        (VISITOR, "1.1.1.1", VISITOR),  # spoofed, straight to us
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", VISITOR, VISITOR),
        ("10.0.0.1", f"1.1.1.1, {VISITOR}", VISITOR),  # spoofed, through the proxy
        ("10.0.0.1", f"10.0.0.9, {VISITOR}", VISITOR),  # pretends to be inside
        ("10.0.0.1", f"1.1.1.1, {VISITOR}, 10.0.0.2", VISITOR),  # two proxies
        ("10.0.0.1", f"{VISITOR},10.0.0.3 ,10.0.0.2", VISITOR),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),  # asked from inside
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", f"{VISITOR}, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", f"{VISITOR}:4711", VISITOR),
        ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", f"::ffff:{VISITOR}", VISITOR),
        ("::ffff:10.0.0.1", VISITOR, VISITOR),
        ("2001:db8:aaaa::1", VISITOR, VISITOR),
        ("2001:db8:bbbb::1", VISITOR, "2001:db8:bbbb::1"),
        ("", VISITOR, VISITOR),  # a proxy on a socket
    ],
)
def test_the_address_is_that_of_the_first_hop_nobody_vouches_for(peer: str, chain: str | None, address: str) -> None:
    headers = {} if chain is None else {"x_forwarded_for": chain}

    assert str(seen(peer, **headers).address) == address


@pytest.mark.parametrize("peer", ["", "10.0.0.1", VISITOR])
def test_nothing_is_believed_where_nobody_is_trusted(peer: str) -> None:
    found = seen(
        peer, (), x_forwarded_for="1.1.1.1", x_forwarded_host="evil.example", x_forwarded_proto="https",
        forwarded="for=1.1.1.1;host=evil.example;proto=https",
    )  # fmt: skip

    assert str(found.address or "") == peer
    assert (found.host, found.host_as_sent, found.is_secure) == ("shop.example", "shop.example:8080", False)


@pytest.mark.parametrize(
    ("headers", "host", "is_secure"),
    [
        ({"x_forwarded_host": "a.example"}, "a.example", False),
        ({"x_forwarded_proto": "HTTPS"}, "shop.example", True),
        ({"x_forwarded_host": "evil.example, a.example", "x_forwarded_for": VISITOR}, "a.example", False),
        (
            {"x_forwarded_host": "evil.example, a.example, inner", "x_forwarded_for": f"{VISITOR}, 10.0.0.2"},
            "a.example",
            False,
        ),
        ({"x_forwarded_host": "a.example", "x_forwarded_for": f"{VISITOR}, 10.0.0.2"}, "a.example", False),
        ({"forwarded": f'for={VISITOR};host="A.example:443";proto=https'}, "a.example", True),
        ({"forwarded": f"for=1.1.1.1;host=evil.example, for={VISITOR};host=a.example"}, "a.example", False),
        ({"forwarded": 'for="[2001:db8::7]:1";host=a.example, for=10.0.0.2;host=inner'}, "a.example", False),
        ({"forwarded": f"For={VISITOR}", "x_forwarded_for": VISITOR, "x_forwarded_host": "a.b"}, "a.b", False),
    ],
)  # fmt: skip
def test_host_and_scheme_are_those_the_outermost_trusted_proxy_was_asked_for(
    headers: dict[str, str], host: str, is_secure: bool
) -> None:
    found = seen("10.0.0.1", **headers)

    assert (found.host, found.inner_host, found.is_secure) == (host, "shop.example", is_secure)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"forwarded": "for=1.1.1.1", "x_forwarded_for": VISITOR}, "different clients"),
        ({"forwarded": "host=evil.example", "x_forwarded_host": "a.example"}, "different clients"),
        ({"forwarded": 'host="a.example'}, "can't be read"),
        ({"forwarded": "host=a.example;host=b.example"}, "can't be read"),
        ({"forwarded": "for=1.1.1.1,,for=2.2.2.2"}, "can't be read"),
        ({"forwarded": '"\\' * 4000}, "can't be read"),
        ({"x_forwarded_proto": "gopher"}, "http or https"),
        ({"x_forwarded_host": "not a host"}, "is not a host"),
    ],
)
def test_what_a_trusted_proxy_garbles_is_an_error_that_says_so(headers: dict[str, str], told: str) -> None:
    with pytest.raises((forwarding.MalformedForwarding, forwarding.MalformedHost), match=told):
        seen("10.0.0.1", **headers)
    seen(VISITOR, **headers)  # and from others not even looked at


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Shop.Example", "shop.example"),
        ("shop.example.:80", "shop.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("localhost:5150", "localhost"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]:80", "[2001:db8::1]"),
    ],
)
def test_hosts_are_compared_in_lower_case_without_port(text: str, name: str) -> None:
    assert forwarding.host_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "a b", "a..b", ".a", "-a", "a_b", "a/b", "a@b", "bücher.example", "a:b", "a:123456", "a,b", "[::1"),
        *("a\x00b", "x" * 64, ".".join(["abcdefgh"] * 40), "a" * 100_000),
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(forwarding.MalformedHost):
        forwarding.host_name(text)


def test_limits_count_by_address_and_by_64_bits_of_an_ipv6_one(settings: LazySettings) -> None:
    settings.TRUSTED_PROXIES = ("10.0.0.0/8",)

    def key(peer: str, **headers: str) -> str:
        return client.rate_key(RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers))

    assert key(VISITOR, x_forwarded_for="1.1.1.1") == VISITOR
    assert key("10.0.0.1", x_forwarded_for=f"1.1.1.1, {VISITOR}") == VISITOR
    assert key("2001:db8:1:2:3::4") == key("2001:db8:1:2:ffff::") == "2001:db8:1:2::"
    assert key("2001:db8:1:3::4") != key("2001:db8:1:2::4")
    assert key("") == key("") != VISITOR


@pytest.mark.django_db
def test_a_login_limit_is_not_escaped_by_a_forged_header(settings: LazySettings) -> None:
    def attempt(number: int, **extra: Any) -> int:
        body = {"email": f"guess-{number}@example.test", "password": "wrong"}
        headers = {"X-Forwarded-For": f"198.51.100.{number}"}
        answer = Client().post("/api/v1/auth/token", body, content_type="application/json", headers=headers, **extra)
        return answer.status_code

    assert [attempt(number, REMOTE_ADDR="203.0.113.99") for number in range(11)] == [401] * 10 + [429]

    settings.TRUSTED_PROXIES = ("203.0.113.99",)
    assert attempt(1, REMOTE_ADDR="203.0.113.99") == 401  # the proxy speaks for somebody else


def test_inside_of_the_middleware_django_sees_what_the_client_used(settings: LazySettings) -> None:
    settings.TRUSTED_PROXIES = ("10.0.0.0/8",)
    requests: list[HttpRequest] = []
    answer = client.ClientMiddleware(lambda request: requests.append(request) or HttpResponse())
    headers = {"X-Forwarded-Host": "shop.example", "X-Forwarded-Proto": "https", "Host": "inner:5150"}

    answer(RequestFactory().get("/", headers=headers, REMOTE_ADDR="10.0.0.1"))
    answer(RequestFactory().get("/", headers=headers, REMOTE_ADDR=VISITOR))

    assert [request.build_absolute_uri() for request in requests] == ["https://shop.example/", "http://inner:5150/"]
    assert all("X-Forwarded-Host" not in request.headers for request in requests)
