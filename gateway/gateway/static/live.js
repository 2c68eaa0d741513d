// A page that waits follows what it waits for by itself: server-sent events, with a slow reload beside them.
// An event says the status, and for what goes on for a while also how far it is: « publishing|240|240 foyers sur 812 ».
const shown = document.querySelector("[data-live]");
const source = new EventSource(shown.dataset.live);
source.addEventListener("status", (event) => {
  const [status, value, words] = event.data.split("|");
  if (status !== shown.dataset.status) return location.reload();
  if (words) {
    shown.querySelector("progress").value = value;
    shown.querySelector("[data-progress]").textContent = words;
  }
});
setTimeout(() => location.reload(), 60000);
addEventListener("pagehide", () => source.close());
