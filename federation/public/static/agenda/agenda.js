/* "Near me": the place is asked of the browser at the press of a button, and goes into the form. */
const button = document.getElementById("near-me");
const field = document.getElementById("near");
const said = document.getElementById("near-said");

if (button && "geolocation" in navigator) {
  button.hidden = false;
  button.addEventListener("click", () => {
    said.textContent = button.dataset.labelWait;
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        // Two decimals, a kilometre: nobody need know more.
        field.value = `${coords.latitude.toFixed(2)},${coords.longitude.toFixed(2)}`;
        field.form.requestSubmit();
      },
      () => { said.textContent = button.dataset.labelFailed; },
      { timeout: 15000, maximumAge: 600000 },
    );
  });
}
