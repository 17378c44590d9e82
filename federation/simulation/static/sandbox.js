/* Shows how far a simulation is, and then what it found. The answer comes line by line: how many
 * visits are decided, of how many; the last line has the result. What is said comes from the
 * page's data-label-* attributes: of and done ("{done}", "{of}"), error.
 */
const box = document.getElementById("effect");
const words = box.querySelector("[role=status]");
const bar = box.querySelector("progress");
const number = new Intl.NumberFormat(document.documentElement.lang);
let told = -1; // tenths, so that a screen reader says eleven sentences at the most

function say(label, { done, of }) {
  const text = box.dataset[label];
  words.textContent = text.replace("{done}", number.format(done)).replace("{of}", number.format(of));
}

function show(line) {
  const tenth = Math.floor((10 * line.done) / line.of);
  bar.max = line.of;
  bar.value = line.done;
  if (line.page) {
    say("labelDone", line);
    bar.hidden = true;
    box.lastElementChild.innerHTML = line.page; // our own template, escaped there
  } else if (tenth > told) {
    told = tenth;
    say("labelOf", line);
  }
  return Boolean(line.page);
}

async function run() {
  bar.hidden = false;
  const answer = await fetch(box.dataset.source);
  if (!answer.ok) throw new Error(`${answer.status}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let whole = false;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) whole = show(JSON.parse(line));
  }
  if (!whole) throw new Error("it ended early");
}

run().catch(() => {
  bar.hidden = true;
  words.textContent = box.dataset.labelError;
  words.classList.add("notice", "is-no");
});
