import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentspace import Client, InvalidArgumentError
from latentspace.addresses import server_address


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("localhost", "localhost:50051"),
        (" localhost:7 ", "localhost:7"),
        ("10.0.0.5", "10.0.0.5:50051"),
        ("::1", "[::1]:50051"),
        ("[::1]", "[::1]:50051"),
        ("[fe80::1%eth0]:80", "[fe80::1%eth0]:80"),
        ("http://localhost", "localhost:50051"),
        ("HTTP://localhost:50051/", "localhost:50051"),
        ("grpc://box:1", "box:1"),
        ("unix:/run/latentspace.sock", "unix:/run/latentspace.sock"),
        ("dns:///box:1", "dns:///box:1"),
        ("dns:50051", "dns:50051"),  # a host of this name
    ],
)
def test_addresses_as_people_write_them(written: str, address: str) -> None:
    assert server_address(written) == address


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("https://example.org", "TLS: pass credentials"),
        ("ftp://example.org", "not understood"),
        ("example.org:http", "from 1 to 65535"),
        ("example.org:0", "from 1 to 65535"),
        ("example.org:65536", "from 1 to 65535"),
        ("example.org:", "from 1 to 65535"),
        ("two words", "not understood"),
        ("http://example.org/path", "not understood"),
        ("::1:no", "not understood"),
    ],
)
def test_other_addresses_name_the_cure(written: str, problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        server_address(written)


def test_https_with_credentials_means_its_usual_port() -> None:
    assert server_address("https://example.org", secure=True) == "example.org:443"
    assert server_address("https://example.org:50051", secure=True) == "example.org:50051"


def test_without_an_address_the_variable_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LATENTSPACE_SERVER", raising=False)
    assert server_address(None) == server_address("") == "127.0.0.1:50051"
    monkeypatch.setenv("LATENTSPACE_SERVER", "box")
    with Client() as client:
        assert client.target == "box:50051"
    with Client("other:1") as client:
        assert client.target == "other:1"


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_is_refused(written: str) -> None:
    try:
        address = server_address(written)
    except InvalidArgumentError:
        return
    assert server_address(address) == address
