// Decisions about images: buttons and keys, and the CSV that a reader saves. Text is never read as markup.

const review = JSON.parse(document.getElementById("review").textContent);
const pictures = JSON.parse(document.getElementById("thumbnails").textContent);
const decisions = new Map(review.decisions.map(one => [one.image_id, one]));
const KEYS = {k: "keep", d: "drop", r: "relabel"}, MARKS = {keep: "K", drop: "D", relabel: "R"};
const byId = id => document.getElementById(id);
const featureMap = document.querySelector(".map");
let unsaved = false;

for (const image of document.querySelectorAll("img[data-thumb]")) {
  image.addEventListener("load", () => keepPixels(image));
  image.src = pictures[image.dataset.thumb];
}
byId("classes").append(...review.classes.map(name => Object.assign(document.createElement("option"), {value: name})));

// Buttons that decide about an image; a second click on the same takes the decision back.
function controls(id) {
  const box = element("div", "");
  box.className = "deciding";
  const input = document.createElement("input");
  const decided = decisions.get(id), image = review.images[id];
  input.setAttribute("list", "classes");
  input.setAttribute("aria-label", "new label");
  input.placeholder = "new label";
  input.value = decided?.label || image.suggested;
  for (const [key, word] of Object.entries(KEYS)) {
    const button = element("button", word);
    button.type = "button";
    button.dataset.word = word;
    button.title = `${word} (${key.toUpperCase()})`;
    button.addEventListener("click", () => decide(id, word, input));
    box.append(button);
  }
  input.addEventListener("keydown", event => event.key === "Enter" && decide(id, "relabel", input));
  box.append(input);
  return box;
}

// Whether a text is what a label may be: a class, several of them, or a number.
function isLabel(text) {
  if (review.task === "regression") return text !== "" && Number.isFinite(Number(text));
  if (review.task === "classification") return review.classes.includes(text);
  return text !== "" && text.split(/[;|]/).map(part => part.trim()).every(part => !part || review.classes.includes(part));
}

function decide(id, word, input) {
  const before = decisions.get(id), label = word === "relabel" ? input.value.trim() : "", image = review.images[id];
  input.setCustomValidity("");
  if (word === "relabel" && !isLabel(label)) {
    input.setCustomValidity(label ? `“${label}” is no label of this dataset.` : "Choose a label.");
    input.reportValidity();
    input.focus();
    return;
  }
  const same = before && before.decision === word && before.label === label;
  if (same) decisions.delete(id);
  else decisions.set(id, {image_id: id, decision: word, label, note: before?.note ?? ""});
  unsaved = true;
  refresh(id);
  const told = same ? "not decided" : [word, label].filter(Boolean).join(" ");
  byId("said").textContent = `${counted()}. ${image.shown}: ${told}.`;
}

const counted = () => {
  const words = Object.values(KEYS).map(word => [[...decisions.values()].filter(one => one.decision === word).length, word]);
  const told = words.filter(([count]) => count).map(([count, word]) => `${count} ${word}`);
  return told.length ? told.join(", ") : "No decision";
};

// Every place that shows an image says the same of it.
function refresh(id) {
  const decided = decisions.get(id);
  for (const place of document.querySelectorAll(`[data-image="${id}"]`)) {
    place.dataset.decision = decided?.decision ?? "";
    for (const button of place.querySelectorAll(".deciding button")) {
      button.setAttribute("aria-pressed", button.dataset.word === decided?.decision);
    }
    if (decided?.label) place.querySelector(".deciding input").value = decided.label;
  }
  mark();
  byId("lines").value = csv();
}

function mark() {
  const source = featureMap.source;
  if (!source) return;
  source.data = {...source.data, mark: [...source.data.image_id].map(id => MARKS[decisions.get(id)?.decision] ?? "")};
}

// Where a path is not unique, or no text, the image is named by its id.
function csv() {
  const cell = text => /[",\r\n]|^\s|\s$/.test(text) ? `"${String(text).replaceAll('"', '""')}"` : text;
  const rows = [...decisions.values()].sort((a, b) => a.image_id - b.image_id);
  const named = rows.map(one => ({...one, path: review.images[one.image_id].path}));
  const columns = ["path", "decision", "label", "note"];
  if (named.some(one => !one.path)) columns.splice(1, 0, "image_id");
  return [columns, ...named.map(one => columns.map(name => cell(one[name])))].map(row => row.join(",") + "\n").join("");
}

// Arrow keys step from one image on a sheet to the next.
function stepOn(event) {
  const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
  if (!step || !event.target.matches(".one")) return;
  const all = [...document.querySelectorAll(".one")], next = all[all.indexOf(event.target) + step];
  event.preventDefault();
  next?.focus();
}

function decideByKey(event) {
  const word = KEYS[event.key.toLowerCase()];
  if (!word || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea")) return;
  const place = event.target === featureMap ? featureMap.querySelector(".of-picked") : event.target.closest("[data-image]");
  const box = place?.querySelector(".deciding");
  if (!box) return;
  event.preventDefault();
  decide(Number(place.dataset.image), word, box.querySelector("input"));
}

for (const place of document.querySelectorAll("[data-image]")) place.append(controls(Number(place.dataset.image)));
for (const id of decisions.keys()) refresh(id);
if (decisions.size) byId("said").textContent = `${counted()}.`;
byId("lines").value = csv();
document.addEventListener("keydown", decideByKey);
document.addEventListener("keydown", stepOn);
featureMap.addEventListener("drawn", mark);
featureMap.addEventListener("picked", event => {
  const place = featureMap.querySelector(".of-picked"), id = event.detail;
  place.dataset.image = id;
  place.replaceChildren(controls(id));
  refresh(id);
});

byId("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], {type: "text/csv"}));
  link.download = review.file;
  link.click();
  unsaved = false;
  byId("said").textContent = `${counted()}: saved as ${review.file}.`;
});
byId("copy").addEventListener("click", async () => {
  const lines = byId("lines");
  try {
    await navigator.clipboard.writeText(csv());
  } catch {
    lines.closest("details").open = true;
    lines.select();
    document.execCommand("copy");
  }
  unsaved = false;
  byId("said").textContent = `${counted()}: copied.`;
});
addEventListener("beforeunload", event => { if (unsaved) event.preventDefault(); });
