
"use strict";
// A click on a picture shows it large, with its row. Everything shown is in the page already, as
// text; only the picture's own file may be loaded, where it is at hand.
(() => {
  const dialog = document.getElementById("large");
  const part = (name) => dialog.querySelector("." + name);
  let buttons = [];
  let current = 0;

  const show = (index) => {
    current = (index + buttons.length) % buttons.length;
    const button = buttons[current];
    const figure = button.closest("figure");
    part("place").textContent = dialog.dataset.place
      .replace("{number}", current + 1).replace("{count}", buttons.length);
    const shown = button.firstElementChild.cloneNode(true);
    part("picture").replaceChildren(shown);
    const row = figure.querySelector("figcaption").cloneNode(true);
    part("row").replaceChildren(row);
    part("row").scrollTop = 0;
    const original = button.dataset.original;
    part("file").hidden = !original;
    if (original) {
      part("file").href = original;
      const whole = new Image();
      // Where the file is not at hand the embedded picture stays.
      whole.addEventListener("load", () => { if (buttons[current] === button) shown.src = original; });
      whole.src = original;
    }
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".open");
    if (!button) return;
    buttons = [...button.closest(".cards").querySelectorAll(".open")];
    show(buttons.indexOf(button));
    dialog.showModal();
  });
  const close = () => dialog.close();
  part("previous").addEventListener("click", () => show(current - 1));
  part("next").addEventListener("click", () => show(current + 1));
  part("close").addEventListener("click", close);
  part("picture").addEventListener("click", (event) => { if (event.target === event.currentTarget) close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowLeft") show(current - 1);
    else if (event.key === "ArrowRight") show(current + 1);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("close", () => {
    part("picture").replaceChildren();
    buttons[current].focus({ preventScroll: true });
    buttons[current].scrollIntoView({ block: "nearest", behavior: "instant" });
  });
})();
