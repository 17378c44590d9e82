"""Who is served: an operator's own settings decide, and nothing that another has."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.host import operators
from node.host.operators import IdError
from shared.base.config import SettingsError
from tests.node.host.hosting import make_host, write_operator


def test_an_operator_is_served_while_its_mark_is_there(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    one = write_operator(host, "cordee")
    assert [each.id for each in operators.served(tmp_path)] == ["cordee"]
    operators.stop_serving(one)
    assert operators.served(tmp_path) == []
    assert [each.id for each in operators.known(tmp_path)] == ["cordee"]
    operators.serve(one)
    assert list(operators.placed(tmp_path, host)[0]) == ["cordee"]


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("https://Cordee.example", ("cordee.example", "cordee.example:443")),
        ("https://cordee.example:443", ("cordee.example", "cordee.example:443")),
        ("http://cordee.example:8001", ("cordee.example:8001",)),
        ("http://[::1]:8001", ("[::1]:8001",)),
        ("https://[2001:db8::1]", ("[2001:db8::1]", "[2001:db8::1]:443")),
    ],
)
def test_the_address_says_the_host_names(url: str, names: tuple[str, ...]) -> None:
    assert operators.names_of(url) == names


def test_the_environment_says_nothing_of_an_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make_host(tmp_path, trusted_proxies=2)
    one = write_operator(host, "cordee", TRUSTED_PROXIES="0")
    monkeypatch.setenv("NODE_DATABASE_URL", "sqlite:////tmp/of-somebody-else")
    settings = operators.settings_of(one, host)
    assert settings.database_url == ""
    assert settings.trusted_proxies == 2  # how requests come in, the host knows


@pytest.mark.parametrize(
    "name", ["URL", "SECRET_KEY", "DATABASE_URL"], ids=["address", "secret", "database"]
)
def test_nobody_is_served_with_what_is_another_operators(tmp_path: Path, name: str) -> None:
    host = make_host(tmp_path)
    value = {"URL": "http://same.example", "SECRET_KEY": "k" * 40}.get(name, "sqlite:////tmp/x.db")
    write_operator(host, "aaa", **{name: value})
    other = write_operator(host, "bbb", **{name: value.replace("same", "SAME")})
    places, faults = operators.placed(tmp_path, host)
    assert list(places) == ["aaa"]
    assert faults == {"bbb": [f"NODE_{name} is that of aaa"]}
    assert operators.faults_of(other, host) == faults["bbb"]


def test_one_with_faulty_settings_is_named_and_the_others_are_served(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    write_operator(host, "aaa", URL="gopher://aaa")
    write_operator(host, "bbb")
    write_operator(host, "ccc", DATA_DIR=str(tmp_path / "operators" / "bbb"))
    (write_operator(host, "ddd").env_file).write_bytes(b"\xff")
    places, faults = operators.placed(tmp_path, host)
    assert list(places) == ["bbb"]
    assert sorted(faults) == ["aaa", "ccc", "ddd"]
    assert "NODE_URL is wrong" in faults["aaa"][0]
    assert "NODE_DATA_DIR is wrong" in faults["ccc"][0]


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "é", "-a", "a" * 61, "a\n"])
def test_an_id_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(IdError):
        operators.operator(tmp_path, name)


def test_missing_settings_are_all_named(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    one = write_operator(host, "cordee")
    one.env_file.write_text("NODE_URL=\n")
    with pytest.raises(SettingsError) as raised:
        operators.settings_of(one, host)
    assert len(raised.value.faults) > 3


def test_a_folder_in_use_is_waited_for(tmp_path: Path) -> None:
    import fcntl

    host = make_host(tmp_path)
    one = write_operator(host, "cordee")
    assert operators.wait_until_free(one, 0)
    with (one.folder / operators.SERVE_LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert not operators.wait_until_free(one, 0)
    assert operators.wait_until_free(one, 0)
