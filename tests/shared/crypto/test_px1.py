"""PX1: ten thousand passes come back exactly, and small; anything else is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import time
import zlib
from typing import Any

import pytest
import segno

from shared.base.clock import Clock
from shared.crypto import jose, px1
from shared.crypto.passes import examine
from shared.crypto.px1 import decode_base45, encode_base45, pack, unpack
from tests.shared.crypto.test_passes import PHONE, bind, credential, issuer_key

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"
NAMES = ("Ada", "Zoé", "Marie-Antoinette", "Nguyễn Thị Hương", "Ірина", "美咲", "👩‍💻", 'O"\\x', "")


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def random_pass(rnd: random.Random) -> str:
    """A pass as homes and phones write it, with signatures that are as random as real ones."""

    def octets(count: int) -> str:
        return b64(rnd.randbytes(count))

    def token(header: Any, claims: Any) -> str:
        texts = (
            json.dumps(part, separators=(",", ":"), ensure_ascii=False) for part in (header, claims)
        )
        return ".".join([*(b64(text.encode()) for text in texts), octets(64)])

    name = rnd.choice(NAMES) or "".join(chr(rnd.randint(0xC0, 0x17F)) for _ in range(10))
    name = (name + octets(9)).encode()[:20].decode(errors="ignore")
    host = "".join(rnd.choice(LETTERS + ".") for _ in range(rnd.randint(1, 52)))
    issued, p256 = rnd.randint(1_700_000_000, 1_999_999_999), rnd.random() < 0.5
    key = {"kty": "EC", "crv": "P-256", "x": octets(32), "y": octets(32)}
    claims: dict[str, Any] = {
        "iss": "".join(rnd.choice(LETTERS) for _ in range(rnd.randint(1, 24))),
        "sub": octets(12),
        "iat": issued,
        "exp": issued + rnd.randint(1, 35 * 86400),
        "vct": rnd.choice(["passerelle:pass", "passerelle:card"]),
        "plan": rnd.choice(["resident", "nomad", "ticket"]),
        "given_name": name,
        "cnf": {"jwk": key if p256 else {"kty": "OKP", "crv": "Ed25519", "x": octets(32)}},
        "status": {
            "status_list": {
                "idx": rnd.randint(1, 4_000_000),
                "uri": f"{rnd.choice(['https', 'http'])}://{host}/status-lists/1",
            }
        },
    }
    if rnd.random() < 0.5:
        claims["nbf"] = issued + rnd.randint(1, 30 * 86400)
    header = {"alg": "EdDSA", "typ": "dc+sd-jwt", "kid": octets(9)}
    signed = token(header, claims)
    bound = {
        "iat": issued + rnd.randint(0, 30 * 86400),
        "aud": "passerelle:check-in",
        "nonce": octets(12),
        "sd_hash": b64(hashlib.sha256(f"{signed}~".encode()).digest()),
    }
    return f"{signed}~{token({'alg': 'ES256' if p256 else 'EdDSA', 'typ': 'kb+jwt'}, bound)}"


def test_ten_thousand_passes_come_back_exactly_and_fit_69_modules() -> None:
    rnd = random.Random(2026)
    longest = ""
    for _ in range(10_000):
        text = random_pass(rnd)
        packed = pack(text)
        assert packed.startswith("PX1:")
        assert unpack(packed) == text
        longest = max(longest, packed, key=len)
    assert len(longest) <= 619, len(longest)  # letters in a QR of version 13, level L
    code = segno.make(longest, error="L", boost_error=False, micro=False)
    assert (code.mode, int(code.version)) <= ("alphanumeric", 13)
    assert code.symbol_size(border=0) <= (69, 69)


def test_our_own_passes_are_short_and_examined_in_either_form() -> None:
    shown = bind(credential(), PHONE, time.time())
    packed = pack(shown)
    assert len(packed) < len(shown) * 0.75
    plain, short = (examine(f" {text}\n", issuer_key, Clock()) for text in (shown, packed))
    assert plain == short
    assert (short.faults, short.text) == ((), shown)


def changed(text: str, place: int, part: bytes) -> str:
    """Return a pass of which one decoded part is another."""
    parts = text.replace("~", ".").split(".")
    parts[place] = b64(part)
    return f"{'.'.join(parts[:3])}~{'.'.join(parts[3:])}"


def test_json_is_carried_byte_for_byte() -> None:
    shown = bind(credential(), PHONE, time.time())
    claims = jose.decode_b64(shown.split(".")[1])
    for part in (
        json.dumps(json.loads(claims), indent=2, sort_keys=True).encode(),
        claims.replace(b"resident", b"r\\u0065sident"),
        claims[:-1] + b',"iat":1,"iat":1}',
        b"",
    ):
        spelled = changed(shown, 1, part)
        assert unpack(pack(spelled)) == spelled
        assert pack(spelled).startswith("PX1:")


def test_what_would_not_come_back_is_shown_plain() -> None:
    shown = bind(credential(), PHONE, time.time())
    for text in (
        "",
        "bonjour",
        "a.b.c~d.e.f",
        shown.partition("~")[0] + "~",
        shown + "~",
        shown[:-4],
        shown + "AAAA",
        changed(shown, 1, b'{"a":"\1"}'),
        changed(shown, 1, b"{}\0{}"),
        changed(shown, 1, b'"' + b"A" * 43 + b'"' + b',"BBBBBBBBBBBB"' * 30),
        changed(shown, 1, random.Random(1).randbytes(5000)),
    ):
        assert pack(text) == text


def wrapped(data: bytes) -> str:
    return "PX1:" + encode_base45(data)


def squeezed(data: bytes, dictionary: bytes = px1.DICTIONARY) -> bytes:
    packer = zlib.compressobj(9, zdict=dictionary)
    return packer.compress(data) + packer.flush()


GOOD = decode_base45(pack(bind(credential(), PHONE, time.time())).removeprefix("PX1:"))
PARTS, SIGNED = b"{}\0{}\0{}\0{}", bytes(128)


@pytest.mark.parametrize(
    "text",
    [
        "PX1:",
        "PX1:A",
        "PX1:::",
        "PX1::::",
        "PX1:é",
        wrapped(GOOD).lower().replace("px1", "PX1"),
        "PX1:" + wrapped(GOOD),
        *(wrapped(GOOD[:cut]) for cut in (1, 64, 128, 129, 130, 200, len(GOOD) - 1)),
        *(wrapped(bytes([form]) + GOOD[1:]) for form in (0, GOOD[0] - 1, GOOD[0] + 1, 255)),
        wrapped(GOOD + b"\0"),
        wrapped(b"\0" + SIGNED),
        wrapped(b"\0" + squeezed(b" " * 4097) + SIGNED),
        wrapped(b"\0" + squeezed(b" " * 50_000_000) + SIGNED),
        wrapped(b"\0" + squeezed(PARTS, b"another") + SIGNED),
        wrapped(b"\0" + zlib.compress(PARTS) + SIGNED),
        wrapped(b"\0" + squeezed(PARTS)[:-1] + SIGNED),
        wrapped(b"\0" + squeezed(PARTS) + b"\0" + SIGNED),
        wrapped(b"\0" + squeezed(PARTS + b"\0{}") + SIGNED),
        wrapped(b"\0" + squeezed(PARTS[:-3]) + SIGNED),
        wrapped(b"\0" + squeezed(PARTS + b"\1") + SIGNED),
        wrapped(b"\x01" + squeezed(PARTS) + b"\0" + SIGNED),
    ],
    ids=lambda text: ascii(text[:24]),
)
def test_what_is_not_px1_is_malformed_and_no_fault_of_ours(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unpack(text)
    (fault,) = examine(text, issuer_key, Clock()).faults
    assert (fault.code, fault.detail) == ("pass_malformed", "px1")


def test_lower_case_is_no_px1() -> None:
    lower = pack(bind(credential(), PHONE, time.time())).lower()
    assert unpack(lower) == lower
    (fault,) = examine(lower, issuer_key, Clock()).faults
    assert fault.code == "pass_malformed"


def test_any_octets_are_read_or_refused() -> None:
    rnd = random.Random(5)
    for _ in range(3000):
        data = bytearray(GOOD)
        for _ in range(rnd.randint(1, 4)):
            data[rnd.randrange(len(data))] ^= rnd.randint(1, 255)
        assert examine(wrapped(bytes(data)), issuer_key, Clock()).faults


@pytest.mark.parametrize(
    ("plain", "coded"),
    [(b"", ""), (b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581")],
)
def test_base45_is_that_of_rfc_9285(plain: bytes, coded: str) -> None:
    assert (encode_base45(plain), decode_base45(coded)) == (coded, plain)


def test_base45_never_ends_in_a_space_that_somebody_may_strip() -> None:
    for value in range(65536):
        pair = value.to_bytes(2, "big")
        assert encode_base45(pair)[-1] != " "
        assert encode_base45(pair[:1])[-1] != " "
