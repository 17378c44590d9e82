/* Readers type as if on a keyboard of their own: what a reader set to another layout, or a Caps Lock,
 * made of a code is turned back, where that can be told for certain.
 */
import { unpack } from "/static/px1.js";

const US = "`1234567890-=qwertyuiop[]\\asdfghjkl;'zxcvbnm,./"
  + '~!@#$%^&*()_+QWERTYUIOP{}|ASDFGHJKL:"ZXCVBNM<>?';
const OTHERS = [
  "²&é\"'(-è_çà)=azertyuiop^$*qsdfghjklmùwxcvbn,;:!" // AZERTY
    + "~1234567890°+AZERTYUIOP¨£µQSDFGHJKLM%WXCVBN?./§",
  "^1234567890ß´qwertzuiopü+#asdfghjklöäyxcvbnm,.-" // QWERTZ
    + "°!\"§$%&/()=?`QWERTZUIOPÜ*'ASDFGHJKLÖÄYXCVBNM;:_",
];
const LONG = 150; // shorter than any pass

const swapCase = (text) => text.replace(/\p{L}/gu, (letter) =>
  (letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()));

function turner(from, to, stay = "") {
  const table = new Map([...from].map((typed, n) => [typed, to[n]])
    .filter(([typed, meant]) => !stay.includes(typed) && !stay.includes(meant)));
  return (text) => [...text].map((letter) => table.get(letter) ?? letter).join("");
}
const layouts = OTHERS.flatMap((other) => [
  turner(other, US), turner(US, other), turner(other, US, " $%*+/~"),
  (text) => turner(other, US)(text).replace(/^PX1[:M]/, "PX1:"),
]);
const WAYS = [
  (text) => text, swapCase, ...layouts,
  ...layouts.map((turn) => (text) => swapCase(turn(text))),
  ...layouts.map((turn) => (text) => turn(swapCase(text))),
];

async function isPass(text) {
  try {
    const plain = await unpack(text);
    const [header] = plain.split(".");
    return /^[\w.~-]+$/.test(plain)
      && "typ" in JSON.parse(atob(header.replaceAll("-", "+").replaceAll("_", "/")));
  } catch {
    return false;
  }
}

/* The code that was meant: `foreign` where something long was typed that no layout explains, and that
 * has letters that no code has.
 */
export async function meant(typed) {
  const text = typed.trim();
  if (/^https?:/.test(text) || text.length < LONG) return { text };
  for (const way of WAYS) {
    const candidate = way(text);
    if (await isPass(candidate)) return { text: candidate };
  }
  const ours = /^PX1:[0-9A-Z $%*+./:-]*$/.test(text) || /^[\w.~-]+$/.test(text);
  return ours ? { text } : { text, foreign: true };
}
