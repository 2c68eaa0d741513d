// The waiting page turns into the confirmation by itself: server-sent events, with a slow reload beside them.
const shown = document.getElementById("payment");
const source = new EventSource(shown.dataset.live);
source.addEventListener("status", (event) => {
  if (event.data !== shown.dataset.status) location.reload();
});
setTimeout(() => location.reload(), 60000);
addEventListener("pagehide", () => source.close());
