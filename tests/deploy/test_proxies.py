"""The proxies' files are right, and hand on who asks and what the services need."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import trustme

from tests.architecture.sources import ROOT
from tests.e2e.processes import free_port_base

PROXY = ROOT / "deploy" / "proxy"
PATHS = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
NGINX, CADDY = shutil.which("nginx", path=PATHS), shutil.which("caddy", path=PATHS)
KINDS = {"hub": (8000, 11), "node": (8001, 50)}


class _Echo(BaseHTTPRequestHandler):
    """Answers with the headers that it was given; a body is read, and its length told."""

    def do_GET(self) -> None:
        length = len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        said = "".join(f"{name.lower()}: {value}\n" for name, value in self.headers.items())
        body = f"{said}length: {length}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


def _configuration(folder: Path, kind: str, plain: int, tls: int, service: int) -> Path:
    """Write what Debian's nginx.conf is to a site, around the one that is shipped."""
    host = f"{kind}.example.org"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    made = authority.issue_cert(host, "127.0.0.1")
    made.private_key_and_cert_chain_pem.write_to_path(folder / "pem")
    site = (PROXY / f"nginx-{kind}.conf").read_text(encoding="utf-8")
    for name in ("fullchain.pem", "privkey.pem"):
        site = site.replace(f"/etc/letsencrypt/live/{host}/{name}", str(folder / "pem"))
    site = site.replace(":80;", f":{plain};").replace(":443 ", f":{tls} ")
    site = site.replace("listen 80;", f"listen 127.0.0.1:{plain};")
    site = site.replace("listen 443 ", f"listen 127.0.0.1:{tls} ")
    site = "\n".join(line for line in site.splitlines() if "listen [::]" not in line)
    site = site.replace(f"127.0.0.1:{KINDS[kind][0]};", f"127.0.0.1:{service};")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{name}_temp_path {folder}/{name};\n" for name in kinds)
    path = folder / "nginx.conf"
    user = "user root;\n" if os.geteuid() == 0 else ""  # its workers write into this folder
    path.write_text(
        f"{user}daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{site}\n}}\n"
    )
    return path


@contextmanager
def _running(configuration: Path, port: int) -> Iterator[None]:
    process = subprocess.Popen([str(NGINX), "-c", str(configuration), "-p", "/"])
    try:
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.skipif(NGINX is None, reason="apt-get install nginx-light")
@pytest.mark.parametrize("kind", KINDS)
def test_nginx_hands_on_who_asks_and_what_is_large(kind: str, tmp_path: Path) -> None:
    plain, tls, service = (base := free_port_base(3)), base + 1, base + 2
    configuration = _configuration(tmp_path, kind, plain, tls, service)
    tested = subprocess.run(
        [str(NGINX), "-t", "-c", str(configuration), "-p", "/"], capture_output=True, check=False
    )
    assert tested.returncode == 0, tested.stderr
    server = ThreadingHTTPServer(("127.0.0.1", service), _Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = {"Host": f"{kind}.example.org"}
    url, outside = f"https://127.0.0.1:{tls}", requests.Session()
    outside.trust_env = False
    outside.verify = str(tmp_path / "authority.pem")
    try:
        with _running(configuration, tls), outside:
            forged = {**host, "X-Forwarded-For": "8.8.8.8", "X-Forwarded-Host": "evil.example"}
            said = outside.get(f"{url}/desk", headers=forged, timeout=30).text
            for line in (
                "x-forwarded-for: 127.0.0.1",
                "x-forwarded-proto: https",
                f"x-forwarded-host: {kind}.example.org",
                f"host: {kind}.example.org",
            ):
                assert f"{line}\n" in said
            megabytes = KINDS[kind][1]
            for size, status in ((megabytes << 20, 200), ((megabytes << 20) + 1, 413)):
                sent = outside.post(url, data=b"x" * size, headers=host, timeout=30)
                assert sent.status_code == status
            moved = requests.get(
                f"http://127.0.0.1:{plain}/pass?x=1",
                headers=host,
                allow_redirects=False,
                timeout=30,
            )
            assert moved.headers["Location"] == f"https://{kind}.example.org/pass?x=1"
        assert (tmp_path / "error.log").read_text().count("[emerg]") == 0
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.skipif(CADDY is None, reason="apt-get install caddy")
@pytest.mark.parametrize("kind", KINDS)
def test_caddy_takes_its_file(kind: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(CADDY), "validate", "--adapter", "caddyfile", "--config", f"{PROXY}/Caddyfile-{kind}"],
        env={"PATH": PATHS, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Valid configuration" in done.stdout + done.stderr
    assert "Caddyfile input is not formatted" not in done.stderr
