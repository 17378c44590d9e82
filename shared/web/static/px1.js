/* PX1, the short form of a shown pass: what it is made of is written in shared/crypto/px1.py. */
import { unzlibSync, zlibSync } from "/static/vendor/fflate/esm/browser.js";

const PREFIX = "PX1:";
const MAX_UNPACKED = 4096;
const SIGNATURE_BYTES = 64;
const MOST_RAW = 255;
const DICTIONARY =
  'http://127.0.0.1:80.org.com.fr,"plan":"ticket","given_name":","plan":"nomad","given_name":"' +
  '","cnf":{"jwk":{"kty":"EC","crv":"P-256","x":"\x03","y":"\x03"}},"status":{"status_list":{"idx":' +
  '/status-lists/1"}}}\x00{"alg":"ES256","typ":"kb+jwt"}\x00{"iat":1' +
  '{"alg":"EdDSA","typ":"dc+sd-jwt","kid":"\x01"}\x00{"iss":"' +
  '","sub":"\x02","iat":1,"exp":1,"vct":"passerelle:pass","plan":"resident","given_name":"' +
  '","cnf":{"jwk":{"kty":"OKP","crv":"Ed25519","x":"\x03"}},"status":{"status_list":{"idx":' +
  ',"uri":"https:///status-lists/1"}},"nbf":1}\x00{"alg":"EdDSA","typ":"kb+jwt"}\x00{"iat":1' +
  ',"aud":"passerelle:check-in","nonce":"\x02","sd_hash":"\x04"}';
const DICTIONARY_ID = [0x2b, 0xc6, 0xb4, 0x6c]; // its Adler-32, as it stands in a stream
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const RAW_BYTES = { "\x01": 9, "\x02": 12, "\x03": 32 };
const MARKS = { 12: "\x01", 16: "\x02", 43: "\x03" };
const HASHED = "\x04";

/* Text stands for octets here, one character each. */
const toOctets = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const toText = (octets) => Array.from(octets, (octet) => String.fromCharCode(octet)).join("");
const encode64 = (text) =>
  btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

function decode64(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  if (encode64(plain) !== text) throw new Error("not base64url");
  return plain;
}

async function hashOf(credential) {
  const data = new TextEncoder().encode(`${credential}~`);
  return encode64(toText(new Uint8Array(await crypto.subtle.digest("SHA-256", data))));
}

export function encodeBase45(octets) {
  let text = "";
  for (let start = 0; start < octets.length; start += 2) {
    const pair = octets.slice(start, start + 2);
    let value = pair.reduce((sum, octet) => sum * 256 + octet, 0);
    for (let n = 0; n <= pair.length; n += 1) {
      text += ALPHABET[value % 45];
      value = Math.floor(value / 45);
    }
  }
  return text;
}

export function decodeBase45(text) {
  const octets = [];
  for (let start = 0; start < text.length; start += 3) {
    const values = [...text.slice(start, start + 3)].map((letter) => ALPHABET.indexOf(letter));
    const value = values.reduceRight((sum, each) => sum * 45 + each, 0);
    const count = values.length - 1;
    if (!count || values.includes(-1) || value >= 256 ** count) throw new Error("not base45");
    if (count === 2) octets.push(value >> 8);
    octets.push(value & 255);
  }
  return Uint8Array.from(octets);
}

async function packed(text) {
  const [credential, binding] = text.split("~");
  const parts = [...credential.split("."), ...binding.split(".")].map(decode64);
  const [header, claims, signature, boundHeader, bound, boundSignature] = parts;
  const hash = await hashOf(credential);
  let raw = "";
  const carry = (whole, value) => {
    try {
      raw += decode64(value);
    } catch {
      return whole;
    }
    return `"${MARKS[value.length]}"`;
  };
  const texts = [header, claims, boundHeader, bound.replaceAll(hash, HASHED)]
    .map((part) => part.replace(/"([\w-]{12}|[\w-]{16}|[\w-]{43})"/g, carry));
  if (raw.length > MOST_RAW) throw new Error("too much that is random");
  const dictionary = toOctets(DICTIONARY);
  const stream = zlibSync(toOctets(texts.join("\0")), { level: 9, mem: 9, dictionary });
  const octets = toOctets(
    String.fromCharCode(raw.length) + toText(stream) + raw + signature + boundSignature,
  );
  return PREFIX + encodeBase45(octets);
}

/* The PX1 form of a shown pass; the text itself where that would not come back exactly. */
export async function pack(text) {
  try {
    const short = await packed(text);
    return (await unpack(short)) === text ? short : text;
  } catch {
    return text;
  }
}

/* The plain text that a PX1 text holds, and any other text as it is. Throws for a damaged one. */
export async function unpack(text) {
  if (!text.startsWith(PREFIX)) return text;
  const octets = decodeBase45(text.slice(PREFIX.length));
  const end = octets.length - 2 * SIGNATURE_BYTES;
  const start = end - octets[0];
  if (!(start > 6)) throw new Error("cut short");
  if (DICTIONARY_ID.some((octet, n) => octets[3 + n] !== octet)) {
    throw new Error("another dictionary");
  }
  const unpacked = unzlibSync(octets.slice(1, start), {
    dictionary: toOctets(DICTIONARY),
    out: new Uint8Array(MAX_UNPACKED + 1),
  });
  if (unpacked.length > MAX_UNPACKED) throw new Error("too long");
  const parts = toText(unpacked).split("\0");
  if (parts.length !== 4) throw new Error("a pass has four parts");
  let raw = toText(octets.slice(start, end));
  const putBack = (part) => part.replace(/[\x01-\x03]/g, (mark) => {
    const count = RAW_BYTES[mark];
    if (raw.length < count) throw new Error("octets are missing");
    const taken = raw.slice(0, count);
    raw = raw.slice(count);
    return encode64(taken);
  });
  const signatures = [end, end + SIGNATURE_BYTES]
    .map((at) => toText(octets.slice(at, at + SIGNATURE_BYTES)));
  const credential = [...parts.slice(0, 2).map(putBack), signatures[0]].map(encode64).join(".");
  const hash = await hashOf(credential);
  const binding = parts.slice(2).map(putBack).map((part) => part.replaceAll(HASHED, hash));
  if (raw) throw new Error("octets are left over");
  return `${credential}~${[...binding, signatures[1]].map(encode64).join(".")}`;
}
