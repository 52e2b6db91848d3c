"use strict";
// Sorts tables by their headings, and joins the maps of features with the pictures of their images.

// Numbers begin with the largest, text with A; a second click turns the order round. Cells without a value stay last.
function sortBy(table, place, heading) {
  const numbers = !heading.classList.contains("text"), before = heading.getAttribute("aria-sort");
  const down = before ? before === "ascending" : numbers;
  const value = row => row.cells[place].dataset.sort;
  const order = (a, b) => {
    const x = value(a), y = value(b);
    if (x === "" || y === "") return (x === "") - (y === "");
    return (down ? -1 : 1) * (numbers ? x - y : x.localeCompare(y, undefined, {numeric: true}));
  };
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort(order));
}

for (const table of document.querySelectorAll("[data-sortable]")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, place) => {
    heading.querySelector("button").addEventListener("click", () => sortBy(table, place, heading));
    for (const row of table.tBodies[0].rows) row.cells[place].dataset.name = heading.textContent.trim();
  });
}

function element(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

// Pictures of a few pixels keep them.
const keepPixels = image => image.classList.toggle("pixels", Math.max(image.naturalWidth, image.naturalHeight) <= 48);

// What stands beside a map of the image that is picked; text is never read as markup.
function show(panel, data, place) {
  const picture = document.createElement("img");
  picture.src = data.image[place];
  picture.alt = `Image ${data.path[place]}`;
  picture.addEventListener("load", () => keepPixels(picture));
  const lines = [data.split[place], data.prediction[place], data.finding?.[place], data.path[place]].filter(Boolean);
  panel.replaceChildren(...(data.image[place] ? [picture] : []), element("b", data.label[place]),
    ...lines.map(line => element("span", line)));
}

// The nearest dot in the direction of an arrow key, with distances across that direction counting double.
function neighbour(data, from, [dx, dy], scale) {
  let best = from, least = Infinity;
  for (let place = 0; place < data.x.length; place++) {
    const across = (data.x[place] - data.x[from]) / scale[0], up = (data.y[place] - data.y[from]) / scale[1];
    const along = across * dx + up * dy, aside = Math.abs(across * dy) + Math.abs(up * dx);
    const far = along + 2 * aside;
    if (along > 0 && far < least) [best, least] = [place, far];
  }
  return best;
}

const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]};
const dark = matchMedia("(prefers-color-scheme: dark)");
const plots = [];

function paint(plot) {
  const styles = getComputedStyle(document.documentElement);
  const ink = styles.getPropertyValue("--ink").trim(), line = styles.getPropertyValue("--line").trim();
  for (const axis of [...plot.below, ...plot.left]) axis.setv({axis_label_text_color: ink, axis_line_color: line});
  for (const grid of plot.center) grid.setv({grid_line_color: line, grid_line_alpha: 1});
  for (const {glyph} of plot.renderers) if (glyph.type === "Text") glyph.setv({text_color: ink});
  for (const legend of plot.right) legend.setv({label_text_color: ink, title_text_color: ink});
}

async function drawMap(map) {
  if (map.dataset.drawn) return;
  map.dataset.drawn = "begun";
  const item = JSON.parse(document.getElementById(`map-${map.dataset.map}`).textContent);
  const thumbnails = JSON.parse(document.getElementById("thumbnails").textContent);
  await Bokeh.embed.embed_item(item, map.querySelector(".plot"));
  const here = Bokeh.documents.at(-1), plot = here.roots()[0], source = here.get_model_by_name("points");
  source.data = {...source.data, image: [...source.data.image_id].map(id => thumbnails[id] ?? "")};
  plots.push(plot);
  paint(plot);
  for (const legend of plot.right) legend.visible = map.clientWidth > 560;
  const data = source.data, panel = map.querySelector(".picked");
  const spread = values => Math.max(...values) - Math.min(...values) || 1;
  const scale = [spread(data.x), spread(data.y)];
  source.selected.change.connect(() => {
    const [place] = source.selected.indices;
    if (place === undefined) return;
    show(panel, data, place);
    map.dispatchEvent(new CustomEvent("picked", {detail: data.image_id[place]}));
  });
  map.addEventListener("keydown", event => {
    const way = ARROWS[event.key];
    if (!way || event.target !== map) return;
    event.preventDefault();
    const [from] = source.selected.indices;
    source.selected.indices = [from === undefined ? 0 : neighbour(data, from, way, scale)];
  });
  map.source = source;
  map.dataset.drawn = "done";
  map.dispatchEvent(new Event("drawn"));
}

dark.addEventListener("change", () => plots.forEach(paint));
for (const map of document.querySelectorAll(".map")) {
  const fold = map.closest("details");
  if (!fold || fold.open) drawMap(map);
  fold?.addEventListener("toggle", () => fold.open && drawMap(map));
}

// Paper cannot be unfolded: everything is open while the page is printed.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const fold of folded) fold.open = true;
});
addEventListener("afterprint", () => { for (const fold of folded) fold.open = false; });
