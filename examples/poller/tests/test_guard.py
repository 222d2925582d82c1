import socket

import pytest

from poller.guard import Error, ForbiddenAddressError, RefusedError, is_public, parsed, public_socket, refuse_port


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001::200e"])
def test_the_public_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254"),
        *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "198.18.0.1"),
        *("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"),  # metadata
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1", "203.0.113.1", "192.88.99.1"),
        *("::", "::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1"),
        *("64:ff9b:1::a00:1", "2002:7f00:1::", "2001::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1"),
    ],
)
def test_what_is_no_public_server(address: str) -> None:
    assert not is_public(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(ForbiddenAddressError):
        public_socket((family, socket.SOCK_STREAM, 6, "", (address, 80)))


def test_a_socket_for_a_public_address() -> None:
    with public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 80))) as made:
        assert made.family == socket.AF_INET


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://example.com", "http://example.com"),
        ("HTTPS://Example.COM:443/a?b=c#d", "https://example.com/a?b=c"),
        ("http://bücher.example/ä", "http://xn--bcher-kva.example/%C3%A4"),
        ("http://example.com.:8080/", "http://example.com.:8080/"),
        ("http://[2606:4700::1111]/", "http://[2606:4700::1111]/"),
    ],
)
def test_urls_that_may_be_asked(text: str, url: str) -> None:
    assert str(parsed(text)) == url


@pytest.mark.parametrize(
    "text",
    [
        *("", "example.com", "/path", "//example.com/", "http:example.com", "http:///path", "http://", "http://?x"),
        *("ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)", "data:,x"),
        *("http://user@example.com/", "http://user:password@example.com/", "http://:@example.com/"),
        *(
            "http://exa mple.com/",
            "http://a\nb.com/",
            "http://a.com/\x00",
            "http://a.com?x=\r\nHost: b",
            " http://a.com",
        ),
        *("http://a.com\\@b.com/", "http://a.com/\\", "http://%31.0.0.1/", "http://a.com/\ud800"),
        *("http://a.com:99999/", "http://a.com:-1/", "http://a.com:80:80/", "http://a.com:x/"),
        *("http://[::1", "http://[::1]x/", "http://xn--a/", f"http://a.com/{'x' * 2048}"),
    ],
)
def test_what_is_never_asked(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        parsed(text)
    assert caught.value.error is Error.INVALID_URL


def test_ports() -> None:
    refuse_port(parsed("https://example.com/"), [80, 443])
    refuse_port(parsed("http://example.com:6379/"), [])
    for text in ("http://example.com:25/", "https://example.com:8044/", "http://example.com:0/"):
        with pytest.raises(RefusedError, match="forbidden_port"):
            refuse_port(parsed(text), [80, 443])
