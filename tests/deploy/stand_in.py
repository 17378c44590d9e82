"""Stands in for a command that needs root or the internet.

It notes what it was told, and does the part of it that can be done in a folder. Called as
``stand_in.py NAME ARGUMENT…``; ``STAND_IN_ROOT`` is the folder that is a machine's ``/``.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(os.environ["STAND_IN_ROOT"])


def _check(good: object, words: str) -> None:
    if not good:
        sys.exit(f"{sys.argv[1:]}: {words}")


def unit_file(name: str) -> Path:
    """Return the file of a unit, of an instance the one of its template."""
    name = name if name.endswith(".timer") else f"{name}.service"
    return ROOT / "etc" / "systemd" / "system" / re.sub(r"@[^.]+", "@", name)


def command_of(unit: str, root: Path = ROOT) -> tuple[list[str], dict[str, str]]:
    """Return what a service runs, and the settings that it is given."""
    text = unit_file(unit).read_text(encoding="utf-8")
    text = text.replace("%i", unit.partition("@")[2]).replace("/var/backups", f"{root}/var/backups")
    (command,) = re.findall("^ExecStart=(.*)", text, re.MULTILINE)
    return shlex.split(command), dict(re.findall("^Environment=([A-Z_]+)=(.*)", text, re.MULTILINE))


def _systemctl(*arguments: str) -> None:
    verb, units = arguments[0], [unit for unit in arguments[1:] if not unit.startswith("--")]
    _check(verb in ("enable", "start", "stop", "reload", "daemon-reload"), "an unknown verb")
    for unit in units if units != ["nginx"] else ():
        _check(unit_file(unit).is_file(), f"{unit} is no unit")
        if verb == "start" and "-backup" in unit:
            command, settings = command_of(unit)
            subprocess.run(command, env={**os.environ, **settings}, check=True)


def _python3(*arguments: str) -> None:
    _check(arguments[:2] == ("-m", "venv"), "only an environment is made with it")
    folder = Path(arguments[2])
    venv.create(folder, with_pip=False)
    (folder / "bin" / "pip").symlink_to(ROOT / "bin" / "pip")


def _pip(*arguments: str) -> None:
    _check(arguments[0] == "install", "only install is known")
    if "--require-hashes" in arguments:
        _check("--hash=sha256:" in Path(arguments[-1]).read_text(), "no hashes")
        return
    _check(arguments[1] == "--no-deps", "what is needed is installed before")
    python = Path(os.environ["CALLED_AS"]).with_name("python")
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(python)]
    more = ["--no-index", "--no-compile"]
    subprocess.run([*pip, *arguments, *more], check=True)
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))


def _install(*arguments: str) -> None:
    _check("--mode=0700" in arguments, "backups are nobody else's")
    Path(arguments[-1]).mkdir(parents=True)


def _useradd(*arguments: str) -> None:
    Path(arguments[arguments.index("--home-dir") + 1]).mkdir(parents=True)


def _runuser(*arguments: str) -> None:
    _check((arguments[0], arguments[2]) == ("-u", "--"), "-u USER -- is expected")
    rest = arguments[3:]
    if "enrol" in rest:  # which needs a hub: another test enrols
        told = subprocess.run([rest[2], "node", "enrol", "--help"], capture_output=True, text=True)  # noqa: PLW1510
        options = [word for word in rest if word.startswith("--")]
        _check(all(option in told.stdout for option in options), "an option is not known")
        return
    os.execvp(rest[0], rest)  # noqa: S606


def _curl(*arguments: str) -> None:
    url = re.sub("^https://[^/]+", os.environ["STAND_IN_URL"], arguments[-1])
    subprocess.run(["/usr/bin/curl", *arguments[:-1], url], check=True)


def _nginx(*arguments: str) -> None:
    _check(arguments == ("-t",), "only -t is known")
    sites = list((ROOT / "etc" / "nginx" / "sites-enabled").iterdir())
    _check(sites and all(site.is_file() for site in sites), "a site leads nowhere")


DOES: dict[str, Callable[..., None]] = {
    "curl": _curl,
    "install": _install,
    "nginx": _nginx,
    "pip": _pip,
    "python3": _python3,
    "runuser": _runuser,
    "systemctl": _systemctl,
    "useradd": _useradd,
}


def main(name: str, *arguments: str) -> None:
    with (ROOT / "told.jsonl").open("a") as told:
        told.write(json.dumps([name, *arguments]) + "\n")
    if name in DOES:
        DOES[name](*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
