// Shows what will be saved and what it changes in the price; the form works without it.
const form = document.getElementById("planning");
const list = document.getElementById("wishes");
const sum = document.getElementById("sum");
const euros = new Intl.NumberFormat("fr-FR", { style: "currency", currency: "EUR" });
let leaving = false;

const changed = () =>
  [...form.querySelectorAll("input[data-was]")].filter((box) => box.checked !== (box.dataset.was === "1"));

function show() {
  const boxes = changed();
  list.replaceChildren(
    ...boxes.map((box) => {
      const line = document.createElement("li");
      line.textContent = `${box.checked ? "☑" : "☐"} ${box.dataset.activity}, ${box.dataset.day}`;
      return line;
    }),
  );
  const cents = boxes.reduce((total, box) => total + (box.checked ? 1 : -1) * Number(box.dataset.cents ?? 0), 0);
  const count = boxes.length === 1 ? "1 changement" : `${boxes.length} changements`;
  sum.textContent = boxes.length
    ? `${count}, ${cents < 0 ? "−" : "+"} ${euros.format(Math.abs(cents) / 100)}`
    : "Cochez ou décochez des jours, puis validez.";
  for (const box of form.querySelectorAll("input[data-was]")) {
    const was = box.dataset.was === "1";
    const word = box.closest("label").querySelector(".word");
    word.textContent = box.checked ? (was ? "Inscrit" : "Ajouté") : was ? "Retiré" : "Libre";
  }
}

form.addEventListener("change", show);
form.addEventListener("submit", () => { leaving = true; });
addEventListener("beforeunload", (event) => { if (!leaving && changed().length) event.preventDefault(); });
addEventListener("pageshow", () => { leaving = false; show(); });
