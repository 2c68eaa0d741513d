// What was sent is saved or told: the device need not keep the ticks of that month any more.
localStorage.removeItem(`preau/${document.getElementById("recap").dataset.kept}`);
