"""Fetch the browser libraries named in vendor.toml, verify them and keep what pages use.

    python deploy/vendor.py

Needs npm. The checksum is verified here, before anything is unpacked, whatever npm itself
verified; files are kept byte for byte as published.
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

LIST = Path(__file__).with_name("vendor.toml")
TARGET = Path(__file__).resolve().parent.parent / "shared" / "web" / "static" / "vendor"

MIT = """MIT License

Copyright (c) {holder}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""

Package = dict[str, Any]


def fetch(package: Package, folder: Path) -> Path:
    wanted = f"{package['name']}@{package['version']}"
    subprocess.run(
        ["npm", "pack", wanted, "--silent", "--ignore-scripts", "--pack-destination", folder],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    (archive,) = folder.glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != package["integrity"]:
        sys.exit(f"{wanted}: the checksum is not the one in {LIST.name}; nothing was changed")
    return archive


def read_members(package: Package, archive: Path) -> dict[str, bytes]:
    """Read the wanted files into memory; no path of the archive is ever written to."""
    kept = {}
    with tarfile.open(archive, "r:gz") as bundle:

        def content(name: str) -> bytes:
            member = bundle.extractfile(f"package/{name}")
            if member is None:
                sys.exit(f"{package['name']}: {name} is not a plain file")
            return member.read()

        for name in package["files"]:
            kept[name.removeprefix("dist/")] = content(name)
        if "licence_file" in package:
            kept["LICENSE"] = content(package["licence_file"])
        else:
            kept["LICENSE"] = MIT.format(holder=package["licence_holder"]).encode()
    return kept


def write(folder: Path, contents: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def inventory(packages: list[Package], contents: list[dict[str, bytes]]) -> str:
    lines = [
        "# Vendored browser libraries",
        "",
        "Written by `deploy/vendor.py` from `deploy/vendor.toml`; do not edit by hand.",
        "Files are as published; each folder holds the licence of its library.",
        "None of them needs an inline script or `eval`.",
        "",
        "| name | version | licence | source package | how a page loads it |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {p['name']} | {p['version']} | {p['licence']} | npm `{p['name']}@{p['version']}` "
        f"| {p['load']} |"
        for p in packages
    ]
    lines += ["", "| file | bytes | sha256 |", "| --- | --- | --- |"]
    lines += [
        f"| {package['name']}/{name} | {len(content)} | {hashlib.sha256(content).hexdigest()} |"
        for package, kept in zip(packages, contents, strict=True)
        for name, content in kept.items()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    packages = tomllib.loads(LIST.read_text(encoding="utf-8"))["package"]
    contents = []
    for package in packages:
        with tempfile.TemporaryDirectory() as folder:
            contents.append(read_members(package, fetch(package, Path(folder))))
    for package, kept in zip(packages, contents, strict=True):
        write(TARGET / package["name"], kept)
        print(f"{package['name']} {package['version']}: {sum(map(len, kept.values()))} bytes")
    (TARGET / "VENDORED.md").write_text(inventory(packages, contents), encoding="utf-8")


if __name__ == "__main__":
    main()
