// The form that leads to the bank sends itself, once: coming back by the browser's arrow leaves it to the button.
const arrived = performance.getEntriesByType("navigation")[0];
if (!arrived || arrived.type === "navigate") document.getElementById("bank").submit();
