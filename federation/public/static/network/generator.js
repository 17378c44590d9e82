/* The page that makes an embedded map: what the preview shows is taken over, the code is copied. */
const byId = (id) => document.getElementById(id);
const [copy, shown, frame] = [byId("copy"), byId("as-shown"), byId("preview")];

if (navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    byId("code").select();
    await navigator.clipboard.writeText(byId("code").value);
    byId("copied").textContent = copy.dataset.done;
  });
}
shown.hidden = false;
shown.addEventListener("click", () => {
  const at = frame.contentDocument?.getElementById("map")?.dataset.at;
  if (!at) return;
  byId("view").value = at;
  byId("find").requestSubmit();
});
