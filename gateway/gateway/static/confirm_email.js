// Goes on by itself once the address is confirmed, on whatever device; until then nothing moves under the reader.
setInterval(async () => {
  const answer = await fetch("/premiere-connexion", { redirect: "manual" });
  if (answer.type === "opaqueredirect") location.assign("/");
}, 6000);
