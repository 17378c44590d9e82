"""Settings: every fault named at once, and nothing dangerous by default."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from federation.settings import HubSettings
from node.settings import NodeSettings
from shared.base.clock import Clock, parse_clock
from shared.base.config import SettingsError, describe, read_settings

GOOD = {
    "HUB_URL": "https://hub.example/",
    "HUB_SECRET_KEY": "k" * 32,
    "HUB_DATA_DIR": "/var/lib/passerelle",
}


def faults(**changes: str) -> list[str]:
    with pytest.raises(SettingsError) as wrong:
        read_settings(HubSettings, "HUB", {**GOOD, **changes})
    return wrong.value.faults


def test_three_settings_are_enough() -> None:
    found = read_settings(HubSettings, "HUB", GOOD)
    assert (found.url, found.data_dir) == ("https://hub.example", Path("/var/lib/passerelle"))
    assert found.database == "sqlite:////var/lib/passerelle/passerelle.sqlite"
    assert (found.demo, found.allow_private_peers, found.secure) == (False, False, True)
    assert found.clock == Clock()
    assert found.host == "127.0.0.1"


def test_every_missing_and_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as wrong:
        read_settings(NodeSettings, "NODE", {"NODE_PORT": "many", "NODE_COLOUR": "green"})
    named = [fault.split()[0] for fault in wrong.value.faults]
    assert named == [
        "NODE_URL",
        "NODE_SECRET_KEY",
        "NODE_DATA_DIR",
        "NODE_PORT",
        "NODE_HUB_URL",
        "NODE_NAME",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUB_URL", "hub.example"),
        ("HUB_URL", "https://user@hub.example"),
        ("HUB_URL", "https://hub.example/?a"),
        ("HUB_SECRET_KEY", "short"),
        ("HUB_DATABASE_URL", "mysql://a/b"),
        ("HUB_PORT", "0"),
        ("HUB_PORT", "65536"),
        ("HUB_WORKERS", "-1"),
        ("HUB_LOG_LEVEL", "LOUD"),
        ("HUB_DEMO", "perhaps"),
        ("HUB_SQLITE_SYNCHRONOUS", "OFF"),
        ("HUB_TRUSTED_PROXIES", "99"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(name: str, value: str) -> None:
    (fault,) = faults(**{name: value})
    assert fault.startswith(f"{name} is wrong: ")
    assert value not in fault or len(value) < 3, "a value may be a secret"


def test_a_set_clock_and_plain_http_are_for_demonstrations() -> None:
    clock = "2026-11-24T10:00:00+01:00"
    (fault,) = faults(HUB_CLOCK=clock)
    assert fault.startswith("HUB_CLOCK is refused")
    (fault,) = faults(HUB_URL="http://hub.example")
    assert fault.startswith("HUB_URL must be https")
    demo = {"HUB_DEMO": "yes", "HUB_URL": "http://127.0.0.1:8000", "HUB_CLOCK": clock}
    found = read_settings(HubSettings, "HUB", {**GOOD, **demo})
    assert found.secure is False
    assert abs(found.clock.now() - datetime.fromisoformat(clock)) < timedelta(minutes=1)


def test_a_file_of_settings_gives_way_to_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "hub.env"
    path.write_text('HUB_SECRET_KEY="a $b #c ' + "k" * 32 + '"\nHUB_PORT=9000\nHUB_NETWORK=Lyon\n')
    environ = {"HUB_ENV_FILE": str(path), "HUB_PORT": "9001", **GOOD}
    del environ["HUB_SECRET_KEY"]
    found = read_settings(HubSettings, "HUB", environ)
    assert (found.port, found.network) == (9001, "Lyon")
    assert found.secret_key == "a $b #c " + "k" * 32
    assert faults(HUB_ENV_FILE=str(tmp_path / "none.env"))[0].endswith("is not there")


def test_settings_of_others_are_left_alone() -> None:
    assert read_settings(HubSettings, "HUB", {**GOOD, "NODE_COLOUR": "green", "PATH": "/bin"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HUB_WORKER", "HUB_WORKERS"),
        ("HUB_DATABASEURL", "HUB_DATABASE_URL"),
        ("HUB_TRUSTED_PROXY", "HUB_TRUSTED_PROXIES"),
        ("HUB_SECRET", "HUB_SECRET_KEY"),
        ("HUB_DB_URL", "HUB_DATABASE_URL"),
    ],
)
def test_a_misspelt_name_in_the_environment_is_named_with_what_may_be_meant(
    name: str, meant: str
) -> None:
    (fault,) = faults(**{name: "2"})
    assert fault.startswith(f"{name} is not a setting: is it to be ")
    assert meant in fault


@pytest.mark.parametrize(("kind", "prefix"), [(HubSettings, "HUB"), (NodeSettings, "NODE")])
@pytest.mark.parametrize(
    "name",
    [
        *("OPTIONS", "PATH", "ENV", "VERSION", "EXTRA_CA_CERTS", "TLS_REJECT_UNAUTHORIZED"),
        *("NO_WARNINGS", "V8_COVERAGE", "REPL_HISTORY", "ICU_DATA", "DEBUG", "HOME"),
        *("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT_80_TCP", "PORT_80_TCP_ADDR"),
        *("PORT_80_TCP_PROTO", "PORT_80_TCP_PORT", "ENV_FILE"),
    ],
)
def test_names_that_others_give_a_meaning_stop_nothing(
    kind: type[HubSettings], prefix: str, name: str
) -> None:
    given = f"{prefix}_{name}"
    with pytest.raises(SettingsError) as raised:  # as others are missing
        read_settings(kind, prefix, {given: "" if name == "ENV_FILE" else "x"})
    assert not [fault for fault in raised.value.faults if fault.startswith(f"{given} ")]


@pytest.mark.parametrize(
    "text", ["", "10:00", "2026-11-24T10:00:00", "2026-11-24T10:00:00+01:00@x"]
)
def test_a_clock_needs_an_instant_with_its_offset(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_clock(text)


def test_a_clock_goes_on_from_its_instant() -> None:
    clock = parse_clock("2026-11-24T10:00:00+01:00@0")
    expected = datetime(2026, 11, 24, 9, tzinfo=UTC) + (
        datetime.now(UTC) - datetime.fromtimestamp(0, UTC)
    )
    assert abs(clock.now() - expected) < timedelta(seconds=10)
    assert abs(clock.real() - datetime.now(UTC)) < timedelta(seconds=10)


@pytest.mark.parametrize(("kind", "prefix"), [(HubSettings, "HUB"), (NodeSettings, "NODE")])
def test_every_setting_is_described(kind: type[HubSettings], prefix: str) -> None:
    rows = describe(kind, prefix)
    assert all(name.startswith(f"{prefix}_") and help_ for name, _, help_ in rows)
    required = {
        name.removeprefix(f"{prefix}_") for name, default, _ in rows if default == "required"
    }
    assert {"URL", "SECRET_KEY", "DATA_DIR"} <= required
