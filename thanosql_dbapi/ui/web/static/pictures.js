// The page works without this. With it, pictures can be dropped and pasted, "more" adds to the
// page, and a click shows a picture large.
"use strict";

document.documentElement.classList.add("script");

const byId = (id) => document.getElementById(id);
const state = byId("state");
let busy = null;

function say(text) {
  if (!state) return;
  state.hidden = !text;
  state.textContent = text || "";
}

// -- Asking -------------------------------------------------------------------------------------

async function ask(address, body) {
  if (busy) busy.abort();
  busy = new AbortController();
  const slow = setTimeout(() => say(state.dataset.busy), 400);
  try {
    const answer = await fetch(address, {
      method: body ? "POST" : "GET",
      body,
      signal: busy.signal,
      headers: body ? { "x-csrftoken": body.get("csrftoken") } : {},
    });
    say("");
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch (error) {
    if (error.name !== "AbortError") say(state.dataset.failed);
    return null;
  } finally {
    clearTimeout(slow);
  }
}

function show(page) {
  if (!page) return;
  document.title = page.title;
  document.querySelector("main").replaceWith(page.querySelector("main"));
  location.hash = "";
  prepare();
  byId("results").focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

function withFilters(form) {
  const fields = new FormData(form);
  for (const name of [...fields.keys()]) if (name.includes("__")) fields.delete(name);
  for (const [name, value] of new FormData(byId("ask")))
    if (name.includes("__") && value) fields.append(name, value);
  return fields;
}

async function send(file) {
  const form = byId("send");
  if (!form || !file) return;
  const fields = withFilters(form);
  fields.delete("picture");
  fields.append("picture", file);
  show(await ask(form.getAttribute("action"), fields));
}

async function more(control) {
  const form = control.closest("form");
  const fields = form && new FormData(form);
  if (form) fields.append(control.name, control.value);
  control.setAttribute("aria-busy", "true");
  const page = await ask(form ? form.getAttribute("action") : control.href, fields);
  const found = page && page.querySelector(".cards");
  if (!found) return;
  const first = found.querySelector("a");
  document.querySelector(".cards").append(...found.children);
  const next = page.querySelector(".more");
  if (next) document.querySelector(".more").replaceWith(next);
  else document.querySelector(".more").remove();
  watchPictures();
  if (first) first.focus({ preventScroll: true });
}

// -- One picture, large -------------------------------------------------------------------------

let shown = null;

function enlarge(card) {
  const dialog = byId("large");
  const thumb = card.querySelector("img");
  const link = card.querySelector(".picture");
  shown = card;
  const image = dialog.querySelector("img");
  image.removeAttribute("src");
  image.style.maxWidth = image.style.maxHeight = "";
  // A small picture is shown at twice its size, and no larger.
  image.onload = () => {
    image.style.maxWidth = `${2 * image.naturalWidth}px`;
    image.style.maxHeight = `${2 * image.naturalHeight}px`;
  };
  image.src = link.href;
  image.alt = thumb ? thumb.alt : link.textContent;
  const caption = card.querySelector("figcaption .caption");
  dialog.querySelector(".caption").textContent = caption ? caption.textContent : "";
  dialog.querySelector(".facts").innerHTML = "";
  const similarity = card.querySelector(".similarity");
  if (similarity) {
    const fact = document.createElement("div");
    const term = document.createElement("dt");
    const value = document.createElement("dd");
    term.textContent = similarity.firstChild.textContent.trim();
    value.textContent = similarity.querySelector("b").textContent;
    fact.append(term, value);
    dialog.querySelector(".facts").append(fact);
  }
  for (const fact of card.querySelectorAll(".facts > div"))
    dialog.querySelector(".facts").append(fact.cloneNode(true));
  dialog.querySelector(".side .like").href = card.querySelector(".like").href;
  dialog.querySelector(".side .row").href = card.querySelector(".row").href;
  dialog.querySelector(".back").hidden = !card.previousElementSibling;
  dialog.querySelector(".on").hidden = !card.nextElementSibling;
  if (!dialog.open) dialog.showModal();
}

function step(by) {
  const next = shown && (by < 0 ? shown.previousElementSibling : shown.nextElementSibling);
  if (next) enlarge(next);
}

// A picture that cannot be shown says so, and keeps its place.
function watchPictures() {
  for (const image of document.querySelectorAll(".cards img:not(.watched)")) {
    image.classList.add("watched");
    const fail = () => {
      const link = image.parentElement;
      link.classList.add("missing");
      link.textContent = state.dataset.missing;
    };
    if (image.complete && image.currentSrc && !image.naturalWidth) fail();
    else image.addEventListener("error", fail);
  }
}

// -- Events -------------------------------------------------------------------------------------

function prepare() {
  watchPictures();
  const file = byId("file");
  if (file) file.addEventListener("change", () => send(file.files[0]));
  const filters = document.querySelector(".filters");
  if (filters && innerWidth < 640) filters.open = false; // the pictures are what was asked for
  // Not on a phone, where the keyboard would cover the pictures.
  const first = document.querySelector("[data-first]");
  if (first && matchMedia("(hover: hover)").matches) first.focus({ preventScroll: true });
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.id !== "ask") return;
  if (form.method === "post" && !form.elements.q.value.trim()) {
    event.preventDefault();
    ask(form.getAttribute("action"), new FormData(form)).then(show);
    return;
  }
  // An address of what was asked, without the fields that say nothing.
  form.method = "get";
  for (const field of form.elements)
    if (field.name && (!field.value || field.name === "csrftoken" || field.name === "vector"))
      field.disabled = true;
  if (form.elements.q.value.trim() && form.elements.like) form.elements.like.disabled = true;
  setTimeout(() => say(state.dataset.busy), 600);
});

window.addEventListener("pageshow", () => {
  say("");
  const form = byId("ask");
  if (form) for (const field of form.elements) field.disabled = false;
});

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.target.closest(".picture, .more .button, .step, .shut");
  if (link) {
    event.preventDefault();
    if (link.matches(".picture")) enlarge(link.closest("li"));
    else if (link.matches(".step")) step(link.matches(".back") ? -1 : 1);
    else if (link.matches(".shut")) byId("large").close();
    else more(link);
  } else if (event.target.id === "large") event.target.close();
});

document.addEventListener("close", () => {
  if (shown) shown.querySelector(".picture").focus();
}, true);

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input, select, textarea");
  const dialog = byId("large");
  if (dialog && dialog.open) {
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
  } else if (event.key === "/" && !isTyping && byId("ask")) {
    event.preventDefault();
    byId("ask").elements.q.focus();
  }
});

const holdsFile = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
let depth = 0;

document.addEventListener("dragenter", (event) => {
  if (!holdsFile(event) || !byId("drop")) return;
  depth += 1;
  byId("drop").hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (!holdsFile(event) || !byId("drop")) return;
  depth -= 1;
  if (depth <= 0) byId("drop").hidden = true;
});
document.addEventListener("dragover", (event) => {
  if (holdsFile(event)) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  if (!holdsFile(event) || !byId("drop")) return;
  event.preventDefault();
  depth = 0;
  byId("drop").hidden = true;
  send(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const file = event.clipboardData && event.clipboardData.files[0];
  if (file && file.type.startsWith("image/")) {
    event.preventDefault();
    send(file);
  }
});

prepare();
