"""A report, opened in a browser that has no network."""

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

# Errors are collected from before the report's own scripts; behind them every menu and every entry is opened once.
WATCH = """<script>
const wrong = [];
console.error = (...words) => wrong.push(words.join(" "));
window.addEventListener("error", event => wrong.push(String(event.message || event.target.src)), true);
window.addEventListener("unhandledrejection", event => wrong.push(String(event.reason)));
</script>"""
VISIT = """<script>
async function shown(find) {
  for (let turn = 0; turn < 200; turn++) {
    const found = find();
    if (found) return found;
    await new Promise(done => setTimeout(done, 20));
  }
}
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
visit().catch(error => wrong.push(String(error))).then(seen => {
  const note = document.createElement("pre");
  note.id = "verdict";
  note.textContent = JSON.stringify({seen, wrong});
  document.body.replaceChildren(note);
});
</script>"""


def dumped(command: list[str], timeout_s: float) -> str:
    """The page as the browser has it at the end."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=timeout_s).stdout


def open_every_entry(report: str, folder: Path) -> dict[str, Any]:
    """What the browser saw of each entry, by its path: the width of the picture, the caption. No error is allowed."""
    before, end, after = report.replace("<head>", f"<head>{WATCH}", 1).rpartition("</body>")
    (folder / "watched.html").write_text(before + VISIT + end + after)
    flags = ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking")
    more = ("disable-component-update", "disable-sync", "host-resolver-rules=MAP * ~NOTFOUND", "dump-dom")
    command = [str(BROWSER), *(f"--{flag}" for flag in (*flags, *more)), "--virtual-time-budget=60000"]
    command += [f"file://{folder / 'watched.html'}"]
    try:  # Chromium now and then hangs before it opens any page, and is then started once more
        page = dumped([*command, f"--user-data-dir={folder / 'profile'}"], timeout_s=60)
    except subprocess.TimeoutExpired:
        page = dumped([*command, f"--user-data-dir={folder / 'another'}"], timeout_s=120)
    found = re.search(r'<pre id="verdict">(.*?)</pre>', page, re.DOTALL)
    assert found, page[-2000:]
    verdict = json.loads(html.unescape(found[1]))
    assert verdict["wrong"] == []
    for path, seen in verdict["seen"].items():
        assert seen and (path.endswith(".html") or seen[0] >= 100) and len(seen[1]) > 100, path
    return dict(verdict["seen"])
