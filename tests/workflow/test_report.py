"""The report of a small run, opened in a browser that has no network."""

import base64
import html
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Clone
from PIL import Image

pytestmark = pytest.mark.xdist_group("run")

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FIGURES = ("settings", "confusion", "reliability", "mistakes")
EXPECTED = {
    *(f"{page}.{kind}" for page in ("leaderboard", "quarantine", "durations") for kind in ("png", "html")),
    *(f"tiny/{head}/{figure}.png" for head in ("logistic", "neighbours") for figure in FIGURES),
    "tiny/embedding.png",
}

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


@pytest.fixture(scope="module")
def report(finished: tuple[Clone, str]) -> str:
    """The HTML text of the report."""
    finished[0].snakemake("--report", "report.html")
    return (finished[0].folder / "report.html").read_text()


def variable(report: str, name: str) -> dict:
    """A variable that the report's scripts start from."""
    line = re.search(rf'<script id="{name}">\s*var {name} = (.*);$', report, re.MULTILINE)
    assert line, f"no variable {name}"
    return json.loads(line[1])


def entries(report: str) -> dict[str, dict]:
    """What is in the report, by its path below the folder of figures."""
    return {path.removeprefix("results/few/report/"): entry for path, entry in variable(report, "results").items()}


def test_every_figure_and_table_of_the_config_is_in_the_report(report: str) -> None:
    assert entries(report).keys() == EXPECTED
    menu = variable(report, "categories")
    assert sorted(menu) == ["1 Leaderboard", "2 Heads", "3 Features", "4 Quarantine", "5 Durations"]
    assert menu["2 Heads"].keys() == {"tiny · logistic", "tiny · neighbours"}


def test_every_entry_decodes_to_what_it_says_and_has_a_caption(report: str) -> None:
    for path, entry in entries(report).items():
        data = base64.b64decode(entry["data_uri"].partition("base64,")[2])
        if path.endswith(".png"):
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                assert min(image.size) >= 100, path
        else:
            assert data.decode("utf-8").startswith("<!doctype html>"), path
        assert len(entry["caption"]) > 100 and "system-message" not in entry["caption"], path


def test_the_quarantine_names_the_broken_image_and_its_reason(report: str) -> None:
    page = base64.b64decode(entries(report)["quarantine.html"]["data_uri"].partition("base64,")[2]).decode()
    assert "0/broken.png" in page and "truncated" in page


def test_figures_are_the_same_bytes_when_drawn_again(rerun: Clone) -> None:
    before = {path: path.read_bytes() for path in rerun.results.glob("report/**/*.*")}
    assert {str(path.relative_to(rerun.results / "report")) for path in before} == EXPECTED
    shutil.rmtree(rerun.results / "report")
    rerun.snakemake("--cores", "2")
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")
def test_a_browser_shows_every_entry_without_an_error_and_without_a_network(report: str, tmp_path: Path) -> None:
    before, end, after = report.replace("<head>", f"<head>{WATCH}", 1).rpartition("</body>")
    (tmp_path / "watched.html").write_text(before + VISIT + end + after)
    flags = ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking")
    more = ("disable-component-update", "disable-sync", "host-resolver-rules=MAP * ~NOTFOUND", "dump-dom")
    command = [str(BROWSER), *(f"--{flag}" for flag in (*flags, *more)), f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--virtual-time-budget=60000", f"file://{tmp_path / 'watched.html'}"]
    page = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    found = re.search(r'<pre id="verdict">(.*?)</pre>', page, re.DOTALL)
    assert found, page[-2000:]
    verdict = json.loads(html.unescape(found[1]))
    assert verdict["wrong"] == []
    assert {path.removeprefix("results/few/report/") for path in verdict["seen"]} == EXPECTED
    for path, seen in verdict["seen"].items():
        assert seen and (path.endswith(".html") or seen[0] >= 100) and len(seen[1]) > 100, path
