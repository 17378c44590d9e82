/* The desk's camera: it reads a code that is held before it, and hands its text on. */
const RECENT_MS = 15_000; // the code that was just answered is not asked about again
const CLOSER_MS = 5_000;
const LOOK_MS = 80;

const camera = document.getElementById("camera");
const video = document.getElementById("camera-picture");
const hint = document.getElementById("camera-hint");
const openCamera = document.getElementById("camera-open");
const closeCamera = document.getElementById("camera-close");
const labels = camera.dataset;

/* The browser's own reader where there is one, else the one that is kept with the page. */
async function makeReader() {
  const formats = (await window.BarcodeDetector?.getSupportedFormats?.().catch(() => [])) ?? [];
  if (formats.includes("qr_code")) {
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    return async () => (await detector.detect(video))[0]?.rawValue;
  }
  const { prepareZXingModule, readBarcodes } = await import(labels.reader);
  await prepareZXingModule({
    overrides: { locateFile: () => labels.readerWasm },
    fireImmediately: true,
  });
  const canvas = new OffscreenCanvas(1, 1);
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  return async () => {
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    paint.drawImage(video, 0, 0);
    const picture = paint.getImageData(0, 0, canvas.width, canvas.height);
    const found = await readBarcodes(picture, { formats: ["QRCode"], maxNumberOfSymbols: 1 });
    return found[0]?.isValid ? found[0].text : undefined;
  };
}

let stream;
let last = { text: "", at: 0 };
async function look(read, check, isBusy) {
  let seenAt = Date.now();
  while (stream) {
    await new Promise((next) => setTimeout(next, LOOK_MS));
    if (!stream || isBusy() || document.hidden || !video.videoWidth) continue;
    const text = await read().catch(() => undefined); // one picture of many
    const now = Date.now();
    if (text) {
      seenAt = now;
      if (text !== last.text || now - last.at > RECENT_MS) {
        last = { text, at: now };
        await check(text);
        last.at = Date.now();
      }
    }
    hint.textContent = now - seenAt > CLOSER_MS ? labels.labelCloser : labels.labelReady;
  }
}

function close() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = undefined;
  camera.hidden = true;
  openCamera.hidden = false;
  localStorage.removeItem("desk-camera");
}

/* `check` takes what is read; `lost` puts the focus where work goes on, as a button goes away. */
export function useCamera({ check, isBusy, lost }) {
  async function open() {
    openCamera.hidden = true;
    camera.hidden = false;
    hint.textContent = labels.labelOpening;
    lost();
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } },
      });
      video.srcObject = stream;
      await video.play();
      const read = await makeReader();
      localStorage.setItem("desk-camera", "open"); // a reload, or a power cut, opens it again
      look(read, check, isBusy);
    } catch (error) {
      close();
      camera.hidden = false;
      hint.textContent = error.name === "NotAllowedError" ? labels.labelRefused : labels.labelNone;
    }
  }
  openCamera.addEventListener("click", open);
  closeCamera.addEventListener("click", () => {
    close();
    lost();
  });
  if (!navigator.mediaDevices?.getUserMedia) return;
  openCamera.hidden = false;
  if (localStorage.getItem("desk-camera") === "open") open();
}
