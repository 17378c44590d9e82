/* What a phone does with its key: it signs that it holds the pass, anew for every showing. */
const bytes = new TextEncoder();

export const storeOf = (member) => `pass:${member}`;

export const base64url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const encode = (value) => base64url(bytes.encode(JSON.stringify(value)));
export const claimsOf = (token) =>
  JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));

/* <credential>~<key binding>, RFC 9901: the binding is over the credential and its tilde. The nonce is
 * random, or the code that a host shows.
 */
export async function fresh(pass, nonce = base64url(crypto.getRandomValues(new Uint8Array(12)))) {
  const shown = `${pass.credential}~`;
  const claims = {
    iat: Math.floor(Date.now() / 1000),
    aud: "passerelle:check-in",
    nonce,
    sd_hash: base64url(await crypto.subtle.digest("SHA-256", bytes.encode(shown))),
  };
  const signed = `${encode({ alg: "EdDSA", typ: "kb+jwt" })}.${encode(claims)}`;
  const signature = await crypto.subtle.sign("Ed25519", pass.privateKey, bytes.encode(signed));
  return `${shown}${signed}.${base64url(signature)}`;
}

