// Shows what will be saved and what it changes in the price; the form works without it.
const form = document.getElementById("planning");
const list = document.getElementById("wishes");
const sum = document.getElementById("sum");
const month = document.getElementById("month");
const detail = document.getElementById("detail");
const euros = new Intl.NumberFormat(document.documentElement.lang, { style: "currency", currency: "EUR" });
const unchanged = sum.textContent;
let leaving = false;

const boxes = [...form.querySelectorAll("input[data-was]")];
const changed = () => boxes.filter((box) => box.checked !== (box.dataset.was === "1"));
const cost = (some) => some.reduce((total, box) => total + (box.checked ? 1 : -1) * Number(box.dataset.cents ?? 0), 0);
const signed = (cents) => `${cents < 0 ? "−" : "+"}\u00a0${euros.format(Math.abs(cents) / 100)}`;

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/** One line for each activity and direction, with its days. */
function lines(some) {
  const groups = new Map();
  for (const box of some) {
    const name = `${box.checked ? "☑" : "☐"} ${box.dataset.activity}`;
    groups.set(name, [...(groups.get(name) ?? []), box]);
  }
  return [...groups].map(([name, found]) => {
    const line = document.createElement("li");
    const price = found.some((box) => box.dataset.cents) ? [element("span", signed(cost(found)))] : [];
    line.append(element("b", name), ...price, element("small", found.map((box) => box.dataset.day).join(", ")));
    return line;
  });
}

function show() {
  const some = changed();
  list.replaceChildren(...lines(some));
  const count = some.length === 1 ? sum.dataset.one : sum.dataset.several.replace("%s", some.length);
  const price = some.some((box) => box.dataset.cents) ? `, ${signed(cost(some))}` : "";
  sum.textContent = some.length ? count + price : unchanged;
  detail.hidden = !some.length;
  if (month) month.textContent = euros.format((Number(month.dataset.cents) + cost(some)) / 100);
  for (const box of boxes) {
    const [free, added, booked, removed] = box.dataset.words.split("|");
    const was = box.dataset.was === "1";
    const word = box.closest("label").querySelector(".word");
    word.textContent = box.checked ? (was ? booked : added) : was ? removed : free;
  }
}

/** Ticks not saved yet stay on this device; only the days and activities, under the child and the month. */
const place = `preau/${form.dataset.kept}`;
const kept = document.getElementById("kept");

function keep() {
  const some = changed().map((box) => [box.value, box.checked]);
  if (some.length) localStorage.setItem(place, JSON.stringify(some));
  else localStorage.removeItem(place);
}

function restore() {
  let found = [];
  try { found = JSON.parse(localStorage.getItem(place) ?? "[]"); } catch { localStorage.removeItem(place); }
  const wanted = new Map(found);
  for (const box of boxes) if (wanted.has(box.value)) box.checked = wanted.get(box.value);
  kept.hidden = !changed().length;
}

document.getElementById("forget").addEventListener("click", () => {
  for (const box of boxes) box.checked = box.dataset.was === "1";
  keep();
});

/** The weekdays of the helper, ticked right here when it is about this page alone. */
function tickHere(helper) {
  const wish = new FormData(helper);
  const days = new Set(wish.getAll("jour"));
  for (const box of boxes) {
    const [activity, day] = box.value.split("|");
    const isMeant = days.has(`${activity}|${box.dataset.weekday}`) && day >= wish.get("du") && day <= wish.get("au");
    if (isMeant) box.checked = wish.get("sens") === "1";
  }
  keep();
  show();
}

// On a phone the list is folded away until it is asked for; on a desk it is always there.
detail.addEventListener("click", () => {
  const isOpen = detail.closest(".side").classList.toggle("unfolded");
  detail.setAttribute("aria-expanded", String(isOpen));
  [detail.textContent, detail.dataset.other] = [detail.dataset.other, detail.textContent];
});

const helper = document.getElementById("fill");
if (helper) {
  const here = element("button", helper.dataset.here);
  here.type = "button";
  here.className = "button";
  here.addEventListener("click", () => { tickHere(helper); form.scrollIntoView(); });
  helper.append(" ", here);
}

form.addEventListener("change", () => { keep(); show(); });
form.addEventListener("submit", () => { leaving = true; });
addEventListener("beforeunload", (event) => { if (!leaving && changed().length) event.preventDefault(); });
addEventListener("pageshow", () => { leaving = false; restore(); show(); });
