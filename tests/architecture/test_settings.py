"""Settings: each one explained, every fault named at once, nothing dangerous by accident."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import main
from federation.settings import HubSettings
from node.host.settings import HostSettings
from node.settings import NodeSettings
from shared.base.config import Declared, Settings, SettingsError, describe, read_settings
from tests.architecture.sources import ROOT

KINDS: dict[str, type[Settings]] = {"HUB": HubSettings, "NODE": NodeSettings}
# Those of the service that holds many nodes are fewer.
DESCRIBED: dict[str, type[Declared]] = {**KINDS, "HOST": HostSettings}
PAGE = ROOT / "deploy" / "settings.md"


def enough(prefix: str) -> dict[str, str]:
    """Return the settings that a service cannot do without."""
    values = {
        "URL": "https://a.example",
        "SECRET_KEY": "s" * 32,
        "DATA_DIR": "var",
        **({"HUB_URL": "https://hub.example", "NAME": "Le Test"} if prefix == "NODE" else {}),
    }
    return {f"{prefix}_{name}": value for name, value in values.items()}


def faults(prefix: str, changes: Mapping[str, str]) -> list[str]:
    values = {**enough(prefix), **{f"{prefix}_{name}": v for name, v in changes.items()}}
    with pytest.raises(SettingsError) as raised:
        read_settings(KINDS[prefix], prefix, values)
    return raised.value.faults


def page_table(prefix: str) -> str:
    """Return the table of a service's settings, as ``deploy/settings.md`` must have it."""
    rows = [
        f"| `{name}` | {'required' if default == 'required' else f'`{default}`' if default else ''}"
        f" | {text} |"
        for name, default, text in describe(DESCRIBED[prefix], prefix)
    ]
    return "\n".join(["| setting | default | what it is |", "| --- | --- | --- |", *rows])


@pytest.mark.parametrize("prefix", DESCRIBED)
def test_the_settings_page_explains_every_setting_and_no_other(prefix: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    section = page.split(f"## `{prefix}_*`")[1].split("\n## ")[0]
    table = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    assert table == page_table(prefix), f"deploy/settings.md should have:\n{page_table(prefix)}"


@pytest.mark.parametrize("prefix", DESCRIBED)
def test_the_command_lists_every_setting(prefix: str) -> None:
    told = CliRunner().invoke(main, [prefix.lower(), "settings"]).output
    for name, _, text in describe(DESCRIBED[prefix], prefix):
        assert f"{name}\n    {text}." in told


@pytest.mark.parametrize("prefix", KINDS)
def test_what_is_required_is_enough(prefix: str) -> None:
    settings = read_settings(KINDS[prefix], prefix, enough(prefix))
    assert settings.secure
    assert not settings.demo
    assert not settings.allow_private_peers


@pytest.mark.parametrize("prefix", KINDS)
def test_all_faults_are_named_at_once(prefix: str) -> None:
    wrong = {
        "URL": "gopher://a.example",
        "SECRET_KEY": "short",
        "DATABASE_URL": "mysql://a.example",
        "PORT": "port",
        "WORKERS": "0",
        "LOG_LEVEL": "LOUD",
        "DEMO": "perhaps",
        "CLOCK": "2026-11-24",
        "SQLITE_SYNCHRONOUS": "OFF",
    }
    told = "\n".join(faults(prefix, wrong))
    assert [name for name in wrong if f"{prefix}_{name} is wrong" not in told] == []


@pytest.mark.parametrize("prefix", KINDS)
def test_every_missing_setting_is_named_with_what_it_is(prefix: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(KINDS[prefix], prefix, {})
    assert raised.value.faults == [
        f"{name} is missing: {text}"
        for name, default, text in describe(KINDS[prefix], prefix)
        if default == "required"
    ]


@pytest.mark.parametrize("prefix", KINDS)
def test_the_clock_can_be_set_in_a_demonstration_only(prefix: str) -> None:
    day = {"CLOCK": "2026-11-24T10:00:00+01:00"}
    (fault,) = faults(prefix, day)
    assert fault.startswith(f"{prefix}_CLOCK is refused outside a demonstration")
    values = {**enough(prefix), f"{prefix}_CLOCK": day["CLOCK"], f"{prefix}_DEMO": "yes"}
    assert read_settings(KINDS[prefix], prefix, values).clock.now().isoformat()[:10] == "2026-11-24"


@pytest.mark.parametrize("prefix", KINDS)
def test_plain_http_is_for_demonstrations_only(prefix: str) -> None:
    (fault,) = faults(prefix, {"URL": "http://a.example"})
    assert fault.startswith(f"{prefix}_URL must be https")


@pytest.mark.parametrize("prefix", KINDS)
def test_a_settings_file_is_read_and_the_environment_wins(prefix: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    lines = {**enough(prefix), f"{prefix}_PORT": "9001", f"{prefix}_WORKERS": "3"}
    file.write_text("".join(f'{name}="{value}"\n' for name, value in lines.items()))
    environ = {f"{prefix}_ENV_FILE": str(file), f"{prefix}_PORT": "9002"}
    settings = read_settings(KINDS[prefix], prefix, environ)
    assert (settings.port, settings.workers) == (9002, 3)


@pytest.mark.parametrize("prefix", KINDS)
def test_a_misspelt_name_in_the_file_is_a_fault(prefix: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_text(f"{prefix}_PROT=9001\n")
    with pytest.raises(SettingsError) as raised:
        read_settings(KINDS[prefix], prefix, {**enough(prefix), f"{prefix}_ENV_FILE": str(file)})
    assert raised.value.faults == [f"{prefix}_PROT is not a setting"]


@pytest.mark.parametrize("prefix", KINDS)
@pytest.mark.parametrize("command", ["serve", "jobs", "migrate"])
def test_a_service_with_faults_does_not_start(
    prefix: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, _, _ in describe(KINDS[prefix], prefix):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(f"{prefix}_PORT", "none")
    done = CliRunner().invoke(main, [prefix.lower(), command])
    assert done.exit_code == 2
    for name in (*enough(prefix), f"{prefix}_PORT"):
        assert name in done.output


@pytest.mark.parametrize("prefix", KINDS)
def test_measures_are_told_nowhere_until_a_setting_says_where(prefix: str) -> None:
    settings = read_settings(KINDS[prefix], prefix, enough(prefix))
    assert (settings.metrics_port, settings.metrics_token) == (0, "")
    assert settings.metrics_host == "127.0.0.1"
    (fault,) = faults(prefix, {"METRICS_PORT": "8000"})
    assert fault == f"{prefix}_METRICS_PORT must be another than {prefix}_PORT"
    (fault,) = faults(prefix, {"METRICS_TOKEN": "short"})
    assert fault.startswith(f"{prefix}_METRICS_TOKEN is wrong: at least 32 characters")
