"""Settings files: what is written reads back as it was, and a faulty line is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deploy.cli import main
from shared.base.config import SettingsError, read_settings
from shared.base.env_file import EnvFileError, read_env, write_env
from tests.architecture.test_settings import KINDS, enough

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)


@given(values=st.dictionaries(NAMES, TEXT, min_size=1, max_size=5))
@example(values={"A": 'Café "Le Lieu"', "B": "ends in \\", "C": 'x" # y', "D": "a\nB=b\r\n"})
@example(values={"A": '<a href="https://osm.example">© OSM</a>', "B": "\\n \\\\", "C": "'#'"})
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_is_written_reads_back(values: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / f"{os.urandom(8).hex()}.env"
    write_env(path, values)
    assert read_env(path) == values


def test_a_file_is_read_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "hub.env"
    lines = (
        "\ufeff# a comment\r",
        "\r",
        "  A=bare words # and a comment\r",
        "export B = 'single \"#\\' #c",
        'C="double \\"#\\"" # comment',
        "D=",
        "E=a#b",
        "F=C:\\temp",
        "G= # nothing",
        'H="C:\\dir"',
        'I="two\nlines"',
        "J=#c0ffee",
    )
    path.write_bytes("\n".join(lines).encode())
    assert read_env(path) == {
        "A": "bare words",
        "B": 'single "#\\',
        "C": 'double "#"',
        "D": "",
        "E": "a#b",
        "F": "C:\\temp",
        "G": "",
        "H": "C:\\dir",
        "I": "two\nlines",
        "J": "#c0ffee",
    }


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("just words", "NAME=value is expected"),
        ("2ND=x", "NAME=value is expected"),
        ("=x", "NAME=value is expected"),
        ('HUB_NAME="Café "Le Lieu""', "the quote"),
        ('HUB_NAME="ends in \\"', "the quote"),
        ("HUB_NAME='never closed", "the quote"),
    ],
)
def test_a_faulty_line_is_named_with_its_number_and_not_with_its_value(
    tmp_path: Path, line: str, why: str
) -> None:
    path = tmp_path / "hub.env"
    path.write_text(f"# settings\nHUB_PORT=1\n{line}\nHUB_WORKERS=2\n")
    with pytest.raises(EnvFileError) as wrong:
        read_env(path)
    assert wrong.value.faults[0].startswith(f"{path}, line 3: {why}")
    assert "Lieu" not in str(wrong.value)


@pytest.mark.parametrize("prefix", KINDS)
def test_a_faulty_line_stops_the_start(
    prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.env"
    path.write_text('A="\nB="\nbroken\n')
    with pytest.raises(SettingsError) as wrong:
        read_settings(KINDS[prefix], prefix, {**enough(prefix), f"{prefix}_ENV_FILE": str(path)})
    assert wrong.value.faults == [f"{path}, line 3: NAME=value is expected"]
    monkeypatch.setenv(f"{prefix}_ENV_FILE", str(path))
    ended = CliRunner().invoke(main, [prefix.lower(), "serve"])
    assert ended.exit_code == 2
    assert "line 3" in ended.output


NAME = 'Café "Le Lieu" \\'


def _init(kind: str, folder: Path, *more: str) -> list[str]:
    shared = ["--url", "http://127.0.0.1:9", "--data-dir", str(folder), "--private"]
    who = ["--email", "a@b.example", "--password", "a long enough password"]
    own = ["--hub", "http://127.0.0.1:8", "--name", NAME, "--space", "Là", "--town", "Lyon"]
    return [kind, "init", *shared, *who, *(own if kind == "node" else ["--name", NAME]), *more]


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    # Loggers are kept once they are configured, and later tests look at theirs.
    monkeypatch.setattr("shared.ops.logs.configure_logging", lambda *_: None)
    for prefix in KINDS:
        monkeypatch.setenv(f"{prefix}_ENV_FILE", "")  # put back after the test
    return monkeypatch


def test_a_node_whose_name_has_quotes_is_made_and_saved_and_restored(
    environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environ.setenv("NODE_TILES_ATTRIBUTION", '<a href="https://osm.example">© "OSM" \\</a>')
    made = CliRunner().invoke(main, _init("node", tmp_path / "node"))
    assert made.exit_code == 0, made.output
    environ.delenv("NODE_TILES_ATTRIBUTION")
    first = read_env(tmp_path / "node" / "node.env")
    assert (first["NODE_NAME"], first["NODE_TILES_ATTRIBUTION"][:8]) == (NAME, "<a href=")
    saved = str(tmp_path / "saved.zip")
    assert CliRunner().invoke(main, ["node", "backup", saved]).exit_code == 0
    moved = CliRunner().invoke(
        main, ["node", "restore", saved, "--data-dir", str(tmp_path / "new")]
    )
    assert moved.exit_code == 0, moved.output
    second = read_env(tmp_path / "new" / "node.env")
    assert {**second, "NODE_DATA_DIR": ""} == {**first, "NODE_DATA_DIR": ""}


@pytest.mark.parametrize("kind", ["hub", "node"])
def test_an_init_that_fails_leaves_nothing_half_made(
    environ: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    folder, command = tmp_path / kind, _init(kind, tmp_path / kind)
    environ.setenv(f"{kind.upper()}_PORT", "many")
    assert CliRunner().invoke(main, command).exit_code == 2
    assert not folder.exists()
    environ.setenv(f"{kind.upper()}_PORT", "9001")
    environ.setattr("shared.ops.command.migrate", lambda _app: 1 / 0)
    assert CliRunner().invoke(main, command).exit_code == 1
    assert not folder.exists()
    folder.mkdir()
    (folder / "mine").write_text("kept")
    assert CliRunner().invoke(main, command).exit_code == 1
    assert [path.name for path in folder.iterdir()] == ["mine"]
    environ.undo()


def test_rules_that_cannot_be_used_leave_no_hub(
    environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "rules.toml").write_text("x = ")
    command = _init("hub", tmp_path / "hub", "--rules", str(tmp_path / "rules.toml"))
    assert CliRunner().invoke(main, command).exit_code == 2
    assert not (tmp_path / "hub").exists()
    made = CliRunner().invoke(main, _init("hub", tmp_path / "hub"))
    assert made.exit_code == 0, made.output
