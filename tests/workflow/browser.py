"""A page, opened in a browser that has no network."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")

# Errors are collected from before the page's own scripts; behind them a function ``visit`` is run once.
WATCH = """<script>
const wrong = [];
console.error = (...words) => wrong.push(words.join(" "));
window.addEventListener("error", event => wrong.push(String(event.message || event.target.src)), true);
window.addEventListener("unhandledrejection", event => wrong.push(String(event.reason)));
</script>"""
SHOWN = """
async function shown(find) {
  for (let turn = 0; turn < 200; turn++) {
    const found = find();
    if (found) return found;
    await new Promise(done => setTimeout(done, 20));
  }
}
"""
EVERY_ENTRY = """
async function visit() {
  const seen = {};
  await shown(() => typeof app !== "undefined");
  for (const category of Object.keys(categories)) {
    app.showCategory(category);
    await shown(() => document.body.innerText.toLowerCase().includes(category.toLowerCase()));
  }
  for (const [path, entry] of Object.entries(results)) {
    app.showCategory(Object.keys(categories)[0]);
    await shown(() => !document.querySelector(".prose-invert"));
    app.showResultInfo(path);
    const caption = await shown(() => document.querySelector(".prose-invert"));
    app.setView({content: entry.mime_type == "image/png" ? "img" : "html", contentPath: entry.data_uri});
    const element = await shown(() => [...document.querySelectorAll("img, iframe")].find(element =>
      element.getAttribute("src") == entry.data_uri && (element.tagName == "IFRAME" || element.naturalWidth)));
    seen[path] = element && [element.naturalWidth, caption ? caption.innerText : ""];
  }
  return seen;
}
"""
# The page of a run: sorts the leaderboard by test, points at the first dot of a map, steps on by keyboard.
PAGE = """
function deep(root, selector) {
  for (const one of root.querySelectorAll("*")) {
    const found = one.matches(selector) ? one : one.shadowRoot && deep(one.shadowRoot, selector);
    if (found) return found;
  }
}
async function visit() {
  const board = document.querySelector(".board"), map = document.querySelector(".map");
  const headings = [...board.tHead.rows[0].cells], name = cell => cell.innerText.trim().split(" ")[0];
  const place = headings.findIndex(cell => name(cell) === "test");
  const column = place => [...board.tBodies[0].rows].map(row => Number(row.cells[place].dataset.sort));
  const seen = {before: column(headings.findIndex(cell => name(cell) === "val")), before_test: column(place), said: []};
  for (const order of ["down", "up"]) {
    headings[place].querySelector("button").click();
    seen[order] = column(place);
    seen.said.push(headings[place].getAttribute("aria-sort"));
  }
  await shown(() => map.dataset.drawn === "done");
  const view = Object.values(Bokeh.index).find(one => one.model.type === "Figure");
  const {x, y, path} = Bokeh.documents[0].get_model_by_name("points").data;
  const surface = view.canvas_view.events_el, box = surface.getBoundingClientRect();
  const [across, down] = [view.frame.x_scale.compute(x[0]), view.frame.y_scale.compute(y[0])];
  const point = {bubbles: true, composed: true, pointerType: "mouse", pointerId: 1, isPrimary: true};
  for (const kind of ["pointerenter", "pointermove"]) {
    surface.dispatchEvent(new PointerEvent(kind, {...point, clientX: box.x + across, clientY: box.y + down}));
  }
  const shownOf = picture => picture && picture.naturalWidth && picture;
  const tip = await shown(() => shownOf(deep(document, ".tip img")));
  seen.hovered = {width: tip.naturalWidth, text: tip.parentElement.textContent, path: path[0]};
  const press = () => map.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
  press();
  const picked = await shown(() => shownOf(map.querySelector(".picked img")));
  seen.picked = {width: picked.naturalWidth, alt: picked.alt};
  seen.first = picked.alt;
  press();
  seen.second = (await shown(() => shownOf(map.querySelector(".picked img")))).alt;
  seen.across = document.documentElement.scrollWidth;
  return seen;
}
"""
# The page of decisions: keeps the image in focus by key, relabels another by button, drops one on the map, and saves.
REVIEW = """
async function visit() {
  const map = document.querySelector(".map"), seen = {};
  await shown(() => map.dataset.drawn === "done");
  const pictures = [...document.querySelectorAll("img[data-thumb]")];
  await Promise.all(pictures.map(picture => picture.decode()));
  seen.pictures = pictures.map(picture => picture.naturalWidth);
  const press = (place, key) => place.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
  const [kept, other] = document.querySelectorAll("[aria-labelledby=exact_duplicate] .one.dropped");
  const shownPath = place => place.querySelector(".path").title;
  kept.focus();
  press(kept, "k");
  press(kept, "ArrowRight");
  const focused = document.activeElement;
  seen.kept = [shownPath(kept), kept.dataset.decision, focused !== kept, focused.className];
  const [, , relabel] = other.querySelectorAll("button"), input = other.querySelector("input");
  input.value = "no such class";
  relabel.click();
  seen.refused = [input.validity.customError, other.dataset.decision ?? ""];
  input.value = [...document.querySelectorAll("#classes option")].at(-1).value;
  relabel.click();
  seen.relabelled = [shownPath(other), input.value, relabel.getAttribute("aria-pressed")];
  press(map, "ArrowRight");
  const picked = await shown(() => map.querySelector(".picked b"));
  press(map, "d");
  const {image_id, path, mark} = map.source.data;
  const place = [...mark].indexOf("D");
  seen.dropped = [path[place], map.querySelector(".of-picked").dataset.image === String(image_id[place])];
  seen.said = document.getElementById("said").textContent;
  let blob, name;
  URL.createObjectURL = made => { blob = made; return "data:,"; };
  HTMLAnchorElement.prototype.click = function () { name = this.download; };
  document.getElementById("save").click();
  seen.saved = [name, await blob.text(), document.getElementById("lines").value];
  press(kept, "k");
  seen.takenBack = [kept.dataset.decision, document.getElementById("lines").value.includes("keep")];
  seen.across = document.documentElement.scrollWidth;
  return seen;
}
"""
VERDICT = """
visit().catch(error => wrong.push(String(error))).then(seen => {
  const note = document.createElement("pre");
  note.id = "verdict";
  note.textContent = JSON.stringify({seen, wrong});
  document.body.replaceChildren(note);
});
"""


def dumped(command: list[str], timeout_s: float) -> str:
    """The page as the browser has it at the end."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=timeout_s).stdout


def visited(page: str, visit: str, folder: Path) -> dict[str, Any]:
    """What the JavaScript function ``visit`` saw on a page, given as text. No error is allowed."""
    before, end, after = page.replace("<head>", f"<head>{WATCH}", 1).rpartition("</body>")
    (folder / "watched.html").write_text(f"{before}<script>{SHOWN}{visit}{VERDICT}</script>{end}{after}")
    flags = ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking")
    more = ("disable-component-update", "disable-sync", "host-resolver-rules=MAP * ~NOTFOUND", "dump-dom")
    command = [str(BROWSER), *(f"--{flag}" for flag in (*flags, *more)), "--virtual-time-budget=60000"]
    command += ["--window-size=1280,900", f"file://{folder / 'watched.html'}"]
    try:  # Chromium now and then hangs before it opens any page, and is then started once more
        dom = dumped([*command, f"--user-data-dir={folder / 'profile'}"], timeout_s=60)
    except subprocess.TimeoutExpired:
        dom = dumped([*command, f"--user-data-dir={folder / 'another'}"], timeout_s=120)
    found = re.search(r'<pre id="verdict">(.*?)</pre>', dom, re.DOTALL)
    assert found, dom[-2000:]
    verdict = json.loads(html.unescape(found[1]))
    assert verdict["wrong"] == [], verdict
    return dict(verdict["seen"])


def open_every_entry(report: str, folder: Path) -> dict[str, Any]:
    """What the browser saw of each entry, by its path: the width of the picture, the caption."""
    entries = visited(report, EVERY_ENTRY, folder)
    for path, seen in entries.items():
        assert seen and (path.endswith(".html") or seen[0] >= 100) and len(seen[1]) > 100, path
    return entries
