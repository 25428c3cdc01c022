"""The page: one file, no way out of it, whatever names the runs have, and readable by a browser."""

import html.parser
import json
import re
import shutil
import subprocess

import pytest

from fastrot.cli import main
from fastrot.report.page import make_page
from fastrot.report.svg import POINTS, Curve, chart, thinned
from pipelines.errors import FastrotError, UsageError

EVIL = "<script>alert('x')</script>&\"quoted\""
VOID = {"meta", "img", "line", "polyline", "circle"}


class Reader(html.parser.HTMLParser):
    """Collects tags, texts and what attributes refer to; fails where tags do not nest."""

    def __init__(self):
        super().__init__()
        self.tags, self.texts, self.refers, self._open = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.refers += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader._open
    return reader


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "a<b>&run"
    folder.mkdir(parents=True)
    lines = [
        {"step": step, "loss": 2 / step, "accuracy": 0.5, "lr": 0.1, "clips_per_s": 9.0}
        for step in range(1, 20)
    ]
    lines.append({"step": 19, "split": "test1", "eval_accuracy": 0.25})
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + '{"step": 20, "lo'
    )
    (folder / "config.yaml").write_text(f"name: {EVIL}\n")
    (folder / "env.json").write_text(json.dumps({"device": EVIL, "packages": {"torch": "2.13"}}))
    return folder


@pytest.fixture
def reproduced(tmp_path, run):
    out = tmp_path / "reproduced"
    shutil.copytree(run, out / "runs" / EVIL.replace("/", "_"))
    (out / "tables").mkdir()
    (out / "figures").mkdir()
    table = {
        "title": f"Table 2 {EVIL}",
        "header": ["", "UCF101 paper", EVIL],
        "rows": [[EVIL, "42.5", "not run"]],
        "notes": [EVIL],
        "about": EVIL,
        "legend": EVIL,
    }
    (out / "tables" / "table2.json").write_text(json.dumps(table))
    (out / "figures" / "figure5.png").write_bytes(b"\x89PNG not really")
    index = {
        "tables": {"table2": "x"},
        "figures": {"figure5": EVIL},
        "environment": {"device": "cpu"},
    }
    (out / "results.json").write_text(json.dumps(index))
    return out


def test_names_are_escaped_wherever_they_stand(run, reproduced):
    page = make_page([run, reproduced], EVIL)
    reader = read(page)
    assert "script" not in reader.tags
    assert "<script" not in page
    everything = "".join(reader.texts)
    # title, heading, config, device, table's title, header, row, note, caption, ...
    assert everything.count("<script>alert('x')") >= 9
    assert "a<b>&run" in everything


def test_nothing_is_fetched_from_outside(run, reproduced):
    page = make_page([run, reproduced], "report")
    reader = read(page)
    assert reader.refers
    assert all(refer.startswith(("#", "data:image/png;base64,")) for refer in reader.refers)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page)
    assert not {"link", "script", "iframe", "object", "embed"} & set(reader.tags)
    assert "default-src 'none'" in page


def test_tables_curves_and_environment_are_there(run, reproduced):
    page = make_page([reproduced], "report")
    texts = read(page).texts
    for expected in ("42.5", "not run", "Curves of 1 training runs", "loss", "accuracy, %"):
        assert expected in texts, expected
    assert page.count("<svg") == 4
    assert "evaluation" in texts  # its single point, next to the training's curve


def test_a_folder_that_is_neither_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"neither a run"):
        make_page([tmp_path], "x")


def test_a_damaged_file_is_named(run):
    (run / "metrics.jsonl").write_text("no json\n")
    with pytest.raises(FastrotError, match=r"metrics\.jsonl is damaged"):
        make_page([run], "x")


def test_the_command_writes_one_file(run, tmp_path, capsys):
    out = tmp_path / "page" / "report.html"
    assert main(["report", str(run), "--out", str(out), "--title", "mine"]) == 0
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]
    assert "mine" in read(out.read_text()).texts
    size = f"{out.stat().st_size / 1000:.0f} kB"
    assert capsys.readouterr().out == f"written to {out}: {size}\n"


def test_a_chart_puts_points_where_their_values_are():
    svg = chart("loss", "", [Curve("a", [(0, 0), (5, 10), (10, 5)])])
    (line,) = re.findall(r'<polyline points="([^"]+)"', svg)
    points = [tuple(map(float, pair.split(","))) for pair in line.split()]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y1 < y2 < y0  # upwards is less
    assert y2 - y1 == pytest.approx(y0 - y2)


def test_long_curves_are_thinned_and_keep_their_ends():
    points = [(float(step), 1.0) for step in range(10_000)]
    found = thinned(points)
    assert len(found) == POINTS
    assert (found[0], found[-1]) == (points[0], points[-1])
    assert chart("x", "", [Curve("a", [])]) == ""


CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser")) if path), "")


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium")
def test_a_browser_shows_it_on_a_phone_without_scrolling_sideways(reproduced, tmp_path):
    file = tmp_path / "report.html"
    page = make_page([reproduced], "report")
    # The policy forbids scripts in the page itself: this copy may run one, which measures the page.
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    wide = page.replace("<td>", "<td>" + "wide" * 30, 1)
    script = (
        "<script>const root = document.documentElement;"
        "document.title = [root.scrollWidth, root.clientWidth, document.querySelectorAll('svg').length];"
        "</script>"
    )
    frame = f'<iframe srcdoc="{(wide + script).replace("&", "&amp;").replace(chr(34), "&quot;")}"'
    # A window is never narrower than 500 pixels, a frame in it is.
    file.write_text(
        f'{frame} width="390" height="844"></iframe><p id="found"></p><script>'
        "const frame = document.querySelector('iframe');"
        "frame.onload = () => { document.querySelector('#found').textContent ="
        " 'measured ' + frame.contentDocument.title; };</script>"
    )
    shown = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--virtual-time-budget=5000", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    found = re.search(r"measured (\d+),(\d+),(\d+)", shown.stdout)
    assert found, shown.stderr[-2000:]
    needed, there, charts = map(int, found.groups())
    assert needed == there <= 390
    assert charts == 4


def test_the_accuracy_of_the_speed_has_its_own_curve(run):
    assert "training, speed" not in read(make_page([run], "title")).texts
    with (run / "metrics.jsonl").open("a") as file:
        file.write('st": 1}\n{"step": 21, "accuracy": 0.5, "speed_accuracy": 0.75}\n')
    assert "training, speed" in read(make_page([run], "title")).texts
