# SPDX-License-Identifier: Apache-2.0
"""One session as a user has it: JupyterLab in a browser, a notebook that nobody has run here, and what is on the screen."""

import base64
import contextlib
import os
import re
import subprocess
import tempfile
import threading
import time
from urllib.parse import urlsplit

import nbformat
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect, sync_playwright

from . import judge
from .execute import copies

START_SECONDS = 300
CELL_SECONDS = 600
# A cell that trains compiles first, so its picture takes a while to come.
FRAME_SECONDS = 120
# So long a user looks at a cell that trains before pressing the button.
LOOK_SECONDS = 5
# So often a user presses Tab before giving up.
TABS = 3
# The lightness of a picture's pixel near its corner.
PAPER = """async data => {
  const picture = new Image();
  picture.src = "data:image/png;base64," + data;
  await picture.decode();
  const canvas = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  canvas.drawImage(picture, 0, 0);
  const [r, g, b] = canvas.getImageData(4, 4, 1, 1).data;
  return Math.round((r + g + b) / 3);
}"""


def session(path, screenshots):
    """Runs the session on a copy of the notebook; returns the exit code."""
    with copies([path]) as (copy, environment), tempfile.TemporaryDirectory(prefix="metrolab-browser-") as home:
        notebook = copy(path)
        with _lab(notebook.parent, home, environment) as (address, log), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=os.environ["METROLAB_CHROMIUM"], args=["--no-sandbox", "--disable-quic"])
            screen = Screen(browser.new_page(viewport={"width": 1200, "height": 1300}), notebook, screenshots)
            try:
                _as_a_user(screen, address)
            except (AssertionError, PlaywrightTimeout) as error:
                screen.picture("failed")
                print(f"FAILED while it should {screen.doing}: {judge.ANSI.sub('', str(error))}")
                print("the last lines of JupyterLab:\n" + "".join(log[-15:]))
                print("notebooks: 0 passed, 1 failed")
                return 1
            finally:
                browser.close()
    print("notebooks: 1 passed, 0 failed")
    return 0


def _as_a_user(screen, address):
    screen.do("open the notebook")
    screen.open(address)
    screen.do("show the committed outputs, untrusted")
    screen.untrusted()
    screen.committed_outputs()
    screen.picture("untrusted")
    screen.do("show figures as dark as the dark theme")
    shades = [screen.shade()]
    screen.theme("JupyterLab Dark")
    shades.append(screen.shade())
    screen.picture("dark")
    screen.theme("JupyterLab Light")
    assert shades[0] > 200 and shades[1] < 60, f"the paper of a figure is {shades} of 255 in the light and the dark theme"

    screen.do("run all cells")
    screen.run("Run All Cells")
    training = screen.tagged("training")
    screen.do("show the training cell at work")
    screen.at_work(training)
    screen.figures(training)
    time.sleep(LOOK_SECONDS)
    screen.picture("training")
    screen.do("interrupt the training cell")
    screen.interrupt(training)
    screen.finished(training)
    screen.figures(training)
    screen.no_error(training)
    screen.picture("interrupted")

    screen.do("let what was queued come to its end")
    for cell in screen.code_cells():
        screen.finished(cell)
    screen.do("run on from the training cell")
    screen.select(training)
    screen.run("Run Selected Cell and All Below")
    for cell in screen.code_cells():
        screen.finished(cell)
        screen.no_error(cell)
        screen.figures(cell)
        screen.picture(f"cell-{cell + 1:02d}")
    screen.do("complete a name at the Tab key, within the second that JupyterLab waits")
    screen.completes("\nfmt.Printl", "Println")
    screen.picture("tab")
    screen.do("have asked nobody outside this machine")
    assert not screen.outside, f"it asked for {screen.outside}"


@contextlib.contextmanager
def _lab(folder, home, environment):
    """scripts/lab with the folder open, for a user who has never used Jupyter. Yields its address and the lines it wrote."""
    env = dict(os.environ, **environment)
    env |= {f"JUPYTER_{name}_DIR": f"{home}/{name.lower()}" for name in ("DATA", "CONFIG", "RUNTIME")}
    command = [judge.ROOT / "scripts" / "lab", "--no-browser", "--port=0", f"--ServerApp.root_dir={folder}"]
    lab = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    log, ready = [], threading.Event()

    def read():
        for line in lab.stdout:
            log.append(line)
            if _address(line):
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    try:
        ready.wait(START_SECONDS)
        address = next(filter(None, map(_address, log)), None)
        assert address, "JupyterLab does not start:\n" + "".join(log)
        yield address, log
    finally:
        lab.terminate()
        lab.wait(30)


def _address(line):
    found = re.search(r"http://127\.0\.0\.1:\d+/lab\?token=\w+", line)
    return found and found.group(0)


class Screen:
    """What a user sees of a notebook in JupyterLab, and can do to it. Cells are counted from 0."""

    def __init__(self, page, path, screenshots):
        self.page, self.path, self.screenshots = page, path, screenshots
        self.notebook = nbformat.read(path, as_version=4)
        self.doing, self.outside, self.pictures = "start", [], 0
        page.on("request", self._note)
        page.set_default_timeout(30_000)

    def _note(self, request):
        if urlsplit(request.url).hostname not in (None, "127.0.0.1"):
            self.outside.append(request.url)

    def do(self, what):
        self.doing = what
        print(f"- {what}", flush=True)

    def picture(self, name):
        if self.screenshots:
            self.screenshots.mkdir(parents=True, exist_ok=True)
            self.pictures += 1
            self.page.screenshot(path=self.screenshots / f"{self.pictures:02d}-{name}.png")

    def open(self, address):
        self.page.goto(address.replace("/lab?", f"/lab/tree/{self.path.name}?"))
        expect(self._panel().locator(".jp-Cell").first).to_be_visible(timeout=90_000)

    def run(self, item):
        """Takes an item of the menu Run that ends with the last cell; once that one is queued, all are."""
        self.page.locator(".lm-MenuBar-item", has_text=re.compile("^Run$")).click()
        self.page.locator(".lm-Menu-item", has_text=re.compile(f"^{item}")).first.click()
        self._prompt(self.code_cells()[-1], r"\[\*\]")

    def interrupt(self, cell):
        shown = self._cell(cell).locator(".jp-InputArea-prompt").inner_text()
        assert shown == "[*]:", f"cell {cell + 1} was done before anybody could interrupt it; make it longer"
        self._panel().locator('[data-jp-item-name="interrupt"]').click()

    def untrusted(self):
        expect(self.page.locator("#jp-main-statusbar [title*='not trusted' i], .jp-StatusItem-trust").first).to_be_visible()

    def tagged(self, tag):
        """The first cell with the tag."""
        found = [cell for cell in self.code_cells() if tag in judge.tags(self.notebook.cells[cell])]
        assert found, f"no cell of {self.path.name} has the tag {tag}"
        return found[0]

    def code_cells(self):
        return [i for i, cell in enumerate(self.notebook.cells) if cell.cell_type == "code"]

    def select(self, cell):
        self._cell(cell).locator(".jp-InputArea-prompt").click()

    def at_work(self, cell):
        self._prompt(cell, r"\[\*\]")
        for before in range(cell):
            if self.notebook.cells[before].cell_type == "code":
                self.finished(before)

    def finished(self, cell):
        self._prompt(cell, r"\[\d+\]")

    def figures(self, cell):
        """Every picture of the committed cell is on the screen, drawn, and with words for who cannot see it."""
        bundles = [output.get("data", {}) for output in self.notebook.cells[cell].outputs]
        wanted = sum("image/png" in data and not any(map(judge.VEGA.match, data)) for data in bundles)
        images = self._cell(cell).locator(".jp-OutputArea-output img")
        expect(images).to_have_count(wanted, timeout=FRAME_SECONDS * 1000)
        for image in images.all():
            image.scroll_into_view_if_needed()
            assert image.evaluate("i => i.complete && i.naturalWidth") > 100, f"a picture of cell {cell + 1} is blank"

    def no_error(self, cell):
        shown = self._cell(cell).locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error'],"
                                         " .jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']")
        assert not shown.count(), f"cell {cell + 1} shows {shown.first.inner_text()[:300]!r}"

    def theme(self, name):
        """Chooses a theme from the menu, as a user does."""
        self.page.locator(".lm-MenuBar-item", has_text=re.compile("^Settings$")).click()
        self.page.locator(".lm-Menu-item", has_text=re.compile("^Theme")).first.hover()
        self.page.locator(".lm-Menu-item", has_text=re.compile(f"^{name}$")).first.click()
        light = "false" if "Dark" in name else "true"
        expect(self.page.locator(f"body[data-jp-theme-light='{light}']")).to_have_count(1)

    def shade(self):
        """How light the paper of the first figure is on the screen, from 0 to 255."""
        cell = next(i for i in self.code_cells() if any("image/png" in o.get("data", {}) for o in self.notebook.cells[i].outputs))
        image = self._cell(cell).locator(".jp-OutputArea-output img").first
        image.scroll_into_view_if_needed()
        self.page.wait_for_timeout(500)
        corner = image.screenshot(animations="disabled")
        return self.page.evaluate(PAPER, base64.b64encode(corner).decode())

    def completes(self, typed, name):
        """Types into the last cell that is code and presses Tab; the name must be offered."""
        self.select(self.code_cells()[-1])
        self.page.keyboard.press("Enter")  # to edit it
        self.page.keyboard.press("Control+End")
        self.page.keyboard.insert_text(typed)
        for _ in range(TABS):  # until the kernel's first answer, which may take longer
            self.page.keyboard.press("Tab")
            found = self.page.locator(".jp-Completer-item", has_text=re.compile(f"^.?{name}"))
            try:
                expect(found.first).to_be_visible(timeout=1500)
            except AssertionError:
                self.page.keyboard.press("Escape")
                continue
            return
        raise AssertionError(f"{TABS} Tabs did not offer {name}")

    def committed_outputs(self):
        for cell in self.code_cells():
            self.figures(cell)
            committed = self.notebook.cells[cell].outputs
            shown = self._cell(cell).locator(".jp-OutputArea-output")
            assert shown.count() == len(committed), f"cell {cell + 1} shows {shown.count()} of {len(committed)} outputs"
            for output in shown.all():
                assert output.bounding_box()["height"] > 5, f"an output of cell {cell + 1} is blank"

    def _panel(self):
        return self.page.locator(".jp-NotebookPanel").first

    def _cell(self, index):
        """The cell, scrolled into view; JupyterLab makes cells when they come near the screen."""
        cell = self._panel().locator(f'.jp-Cell[data-windowed-list-index="{index}"]')
        area = self._panel().locator(".jp-WindowedPanel-outer")
        if not cell.count():
            area.evaluate("a => a.scrollTop = 0")
        for _ in range(200):
            if cell.count():
                cell.scroll_into_view_if_needed()
                return cell
            area.evaluate("a => a.scrollTop += a.clientHeight / 2")
            self.page.wait_for_timeout(100)
        raise AssertionError(f"cell {index + 1} is not on the page")

    def _prompt(self, cell, pattern):
        expect(self._cell(cell).locator(".jp-InputArea-prompt")).to_have_text(re.compile(pattern), timeout=CELL_SECONDS * 1000)
