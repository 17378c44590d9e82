"""PX1: a shown pass in a form short enough for a QR that any camera reads, and back exactly.

``PX1:`` and base45 (RFC 9285) of: a form byte; a zlib stream; as many octets as the form byte says;
the credential's signature; the key binding's. The stream unpacks to the four JSON texts of a pass
(credential header and claims, key binding header and claims), parted by NUL. In them the octets
1, 2 and 3 stand for base64url of the next 9, 12 or 32 of the octets that follow the stream, and 4
for the ``sd_hash`` of the credential, which the reader computes. None of the five is in JSON.
"""

from __future__ import annotations

import hashlib
import re
import zlib

from shared.crypto import jose

PREFIX = "PX1:"
MAX_UNPACKED = 4096
SIGNATURE_BYTES = 64
# Frozen with PX1: another dictionary would be another form. ``px1.js`` has the same.
DICTIONARY = (
    b'http://127.0.0.1:80.org.com.fr,"plan":"ticket","given_name":","plan":"nomad","given_name":"'
    b'","cnf":{"jwk":{"kty":"EC","crv":"P-256","x":"\3","y":"\3"}},"status":{"status_list":{"idx":'
    b'/status-lists/1"}}}\0{"alg":"ES256","typ":"kb+jwt"}\0{"iat":1'
    b'{"alg":"EdDSA","typ":"dc+sd-jwt","kid":"\1"}\0{"iss":"'
    b'","sub":"\2","iat":1,"exp":1,"vct":"passerelle:pass","plan":"resident","given_name":"'
    b'","cnf":{"jwk":{"kty":"OKP","crv":"Ed25519","x":"\3"}},"status":{"status_list":{"idx":'
    b',"uri":"https:///status-lists/1"}},"nbf":1}\0{"alg":"EdDSA","typ":"kb+jwt"}\0{"iat":1'
    b',"aud":"passerelle:check-in","nonce":"\2","sd_hash":"\4"}'
)
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_RAW_BYTES = {1: 9, 2: 12, 3: 32}
_MARKS = {12: b'"\1"', 16: b'"\2"', 43: b'"\3"'}  # by the length of the base64url
_HASHED = b"\4"
_MOST_RAW = 255
_CARRIED = re.compile(rb'"([A-Za-z0-9_-]{12}|[A-Za-z0-9_-]{16}|[A-Za-z0-9_-]{43})"')


def pack(text: str) -> str:
    """Return the PX1 form of a shown pass; the text itself where that would not come back."""
    try:
        packed = _pack(text)
        return packed if unpack(packed) == text else text
    except ValueError:
        return text


def unpack(text: str) -> str:
    """Return the plain text that a PX1 text holds, and any other text as it is.

    Raises ValueError for what begins like PX1 and is not.
    """
    if not text.startswith(PREFIX):
        return text
    data = decode_base45(text.removeprefix(PREFIX))
    end = len(data) - 2 * SIGNATURE_BYTES
    start = end - data[0] if data else 0
    if start < 1:
        raise ValueError("cut short")
    parts = _inflate(data[1:start]).split(b"\0")
    if len(parts) != 4:
        raise ValueError("a pass has four parts")
    raw, signatures = _Raw(data[start:end]), (data[end:][:64], data[end:][64:])
    credential = _token([raw.put_back(part) for part in parts[:2]], signatures[0])
    hashed = jose.encode_b64(_hash_of(credential)).encode()
    binding = [raw.put_back(part).replace(_HASHED, hashed) for part in parts[2:]]
    if raw.octets:
        raise ValueError("octets are left over")
    return f"{credential}~{_token(binding, signatures[1])}"


def _pack(text: str) -> str:
    """Return the PX1 form of a text. Raises ValueError where it has none."""
    credential, _, binding = text.partition("~")
    tokens = [credential.split("."), binding.split(".")]
    if [len(token) for token in tokens] != [3, 3]:
        raise ValueError("a pass has two tokens of three parts")
    (head, claims, signed), (bound_head, bound, bound_signed) = (
        [jose.decode_b64(part) for part in token] for token in tokens
    )
    bound = bound.replace(jose.encode_b64(_hash_of(credential)).encode(), _HASHED)
    raw = bytearray()

    def carry(match: re.Match[bytes]) -> bytes:
        try:
            raw.extend(jose.decode_b64(match[1].decode()))
        except ValueError:
            return match[0]
        return _MARKS[len(match[1])]

    parts = [_CARRIED.sub(carry, part) for part in (head, claims, bound_head, bound)]
    if len(raw) > _MOST_RAW:
        raise ValueError("too much that is random")
    data = bytes([len(raw)]) + _deflate(b"\0".join(parts)) + raw + signed + bound_signed
    return PREFIX + encode_base45(data)


class _Raw:
    """The octets that follow the stream, taken one after another."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets

    def put_back(self, part: bytes) -> bytes:
        """Return a part with base64url where marks stood. Raises ValueError."""
        return re.sub(rb"[\1-\3]", self._take, part)

    def _take(self, mark: re.Match[bytes]) -> bytes:
        count = _RAW_BYTES[mark[0][0]]
        if len(self.octets) < count:
            raise ValueError("octets are missing")
        taken, self.octets = self.octets[:count], self.octets[count:]
        return jose.encode_b64(taken).encode()


def _token(parts: list[bytes], signature: bytes) -> str:
    return ".".join(jose.encode_b64(part) for part in (*parts, signature))


def _hash_of(credential: str) -> bytes:
    return hashlib.sha256(f"{credential}~".encode()).digest()


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)
    return packer.compress(data) + packer.flush()


def _inflate(data: bytes) -> bytes:
    """Return what a stream unpacks to, if that is no more than a pass. Raises ValueError."""
    if len(data) < 2 or not data[1] & 0x20:
        raise ValueError("not a stream with a dictionary (RFC 1950, 2.2)")
    unpacker = zlib.decompressobj(zdict=DICTIONARY)
    try:
        unpacked = unpacker.decompress(data, MAX_UNPACKED)
    except zlib.error as error:
        raise ValueError("not a stream") from error
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("too long, or cut short")
    return unpacked


def encode_base45(data: bytes) -> str:
    """Return base45 (RFC 9285, section 4): three letters for two octets, two for one left."""
    letters = []
    for start in range(0, len(data), 2):
        pair = data[start : start + 2]
        value = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            value, letter = divmod(value, 45)
            letters.append(_ALPHABET[letter])
    return "".join(letters)


def decode_base45(text: str) -> bytes:
    """Return the octets of a base45 text. Raises ValueError for anything else."""
    data = bytearray()
    for start in range(0, len(text), 3):
        group = text[start : start + 3]
        if len(group) == 1 or not all(letter in _VALUES for letter in group):
            raise ValueError("not base45")
        value = sum(_VALUES[letter] * 45**place for place, letter in enumerate(group))
        try:
            data += value.to_bytes(len(group) - 1, "big")
        except OverflowError:
            raise ValueError("not base45") from None
    return bytes(data)
