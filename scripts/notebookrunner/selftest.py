# SPDX-License-Identifier: Apache-2.0
"""Shows that what is wrong is seen: cells that are wrong in every way, each with a word of what must be said about it."""

import base64
import copy
import json
import pathlib
import tempfile

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from . import committed, judge
from .execute import execute
from .session import MISTAKES, Session, judge_restart, judge_tabs

# Cells that fail, a notebook each, for nothing after them runs. The kernel tells of these.
FAILING = {
    "compile error": ('%%\nfmt.Println("no end)', "not terminated"),
    "unknown import": ('import "metrolab/nosuchroom"\n\n%%\nnosuchroom.Do()', "nosuchroom"),
    "import from the network": ('import "rsc.io/quote"\n\n%%\nfmt.Println(quote.Go())', "rsc.io/quote"),
    "panic": ('%%\npanic("all is lost")', "exit status 2"),
    "exit code": ("%%\nos.Exit(3)", "exit status 3"),
    "log.Fatal": ('%%\nlog.Fatal("no such run")', "exit status 1"),
    "failing test": ("func TestIt(t *testing.T) { t.Fail() }\n\n%test", "exit status 1"),
    "endless": ("%%\nselect {\ncase <-time.After(time.Hour):\n}", "more than 10 s"),
    "kernel that dies": ('%%\nlog.SetFlags(log.LstdFlags | log.Lshortfile)\nlog.Print("hello")', "log.SetFlags(0)"),
    "program left running": ("!setsid sleep 300 >/dev/null 2>&1 &", "left a program running"),
}

# What a program shows in its last instant may come after its cell is over, and then nobody sees it here.
SEEN = "\ntime.Sleep(200 * time.Millisecond)"

# Cells that fail while the kernel says ok.
LYING = {
    "!false": "exit status 1",
    "%%bash\nexit 4": "exit status 4",
    "%nosuchmagic": "nosuchmagic",
    '%%\nfmt.Fprintln(os.Stderr, "panic: caught somewhere")': "panic: caught",
    'import (\n\t"metrolab/viz"\n\t"metrolab/viz/notebook"\n)\n\n%%\nnotebook.Show(viz.Curves{Name: "nothing"})': "viz: ",
    "!echo $HOME": "path of this machine",
    '%%\ngonbui.DisplayHTML("<script>draw()</script>")' + SEEN: "needs a script",
    '%%\ngonbui.DisplaySvg("<svg></svg>")' + SEEN: "SVG",
    '%%\ngonbui.DisplayMarkdown("![curve](https://example.com/curve.png)")' + SEEN: "network",
}

PNG = base64.b64encode(b"\x89PNG").decode()
REMOTE_DATA = {"mark": "line", "data": {"url": "https://example.com/loss.csv"}}
ENCODED = base64.b64encode(json.dumps(REMOTE_DATA).encode()).decode()

# Outputs that no cell above makes, and what is wrong with them.
OUTPUTS = [
    ({"image/png": PNG}, "no text/plain"),
    ({"image/svg+xml": "<svg/>", "text/plain": "loss"}, "SVG"),
    ({"application/javascript": "draw()"}, "is a script"),
    ({"application/vnd.jupyter.widget-view+json": {}, "text/plain": "slider"}, "is a script"),
    ({"text/html": "<link rel=stylesheet href=//example.com/a.css>"}, "network"),
    ({"text/html": "<p onclick=go()>"}, "needs a script"),
    ({"text/html": '<div style="background:url(https://example.com/a.png)">'}, "network"),
    ({"application/vnd.vegalite.v5+json": {"mark": "line"}}, "no PNG"),
    ({"application/vnd.vegalite.v5+json": REMOTE_DATA, "image/png": PNG, "text/plain": "loss"}, "fetches its data"),
    ({"application/vnd.vegalite.v5+json": "https://example.com/loss.json", "image/png": PNG, "text/plain": "loss"}, "is fetched"),
    (
        {
            "application/vnd.vegalite.v5+json": "data:application/json;base64," + ENCODED,
            "image/png": PNG,
            "text/plain": "loss",
        },
        "fetches its data",
    ),
]

# Outputs that are as they should be.
GOOD_OUTPUTS = [
    {"image/png": PNG, "text/plain": "loss of three arms"},
    {"text/html": '<table><tr><td style="color:red">0.71</td></tr></table><a href="https://example.com">paper</a>'},
    {"text/markdown": "| arm | AUC |\n|---|---|\n| METRO | 0.71 |\n\n[paper](https://example.com)"},
    {"application/vnd.vegalite.v5+json": {"mark": "line"}, "image/png": PNG, "text/plain": "loss"},
]


def selftest(timeout):
    """Runs everything; returns how many passed and failed."""
    results = [*_failing(), *_lying(), *_outputs(), *_committed(), *_by_hand()]
    for name, problem in results:
        if problem:
            print(f"FAILED {name}: {problem}")
    failed = sum(bool(problem) for _, problem in results)
    return len(results) - failed, failed


def _notebook(*cells):
    notebook = new_notebook(cells=[new_code_cell("%noautoget"), *cells], metadata=copy.deepcopy(committed.METADATA))
    for count, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{count}"
    return notebook


def _run(notebook, seconds=60):
    with tempfile.TemporaryDirectory(prefix="metrolab-selftest-") as folder:
        path = pathlib.Path(folder, "faults.ipynb")
        nbformat.write(notebook, path)
        return execute(path, {"METROLAB_NOTEBOOKS": "short"}, seconds)


def _wanted(word, says):
    """None if the word is said, else what was said."""
    return None if any(word in s for s in says) else f"{word!r} is not in {says}"


def _failing():
    for name, (source, word) in FAILING.items():
        faults = _run(_notebook(new_code_cell(source)), seconds=10 if name == "endless" else 60).faults
        yield name, _wanted(word, [f.says for f in faults]) or (faults[0].cell != 2 and f"it is said of cell {faults[0].cell}")


def _lying():
    cells = [new_code_cell('import "github.com/janpfeifer/gonb/gonbui"\n\nvar _ = gonbui.IsNotebook')] + [new_code_cell(s) for s in LYING]
    cells += [
        new_code_cell("%%\nos.Exit(1)", metadata={"tags": ["raises-exception"]}),
        new_code_cell('%%\nfmt.Println("fine")', metadata={"tags": ["raises-exception"]}),
    ]
    faults = _run(_notebook(*cells)).faults
    wanted = [*LYING.values(), None, "did not fail"]
    for number, word in enumerate(wanted, 3):
        says = [f.says for f in faults if f.cell == number]
        yield cells[number - 2].source, _wanted(word, says) if word else says and f"{says}"


def _outputs():
    for data, word in OUTPUTS:
        yield f"output {sorted(data)}", _wanted(word, _says(data))
    for data in GOOD_OUTPUTS:
        says = _says(data)
        yield f"good output {sorted(data)}", says and f"{says}"


def _says(data):
    cell = new_code_cell("%%", execution_count=2, outputs=[new_output("display_data", data=copy.deepcopy(data))])
    return [fault.says for fault in judge.faults(_notebook(cell))]


def _committed():
    good = committed.normal(_notebook(new_code_cell("%%", outputs=[new_output("stream", name="stdout", text="0.71\n")])))
    yield "good notebook", "; ".join(committed.faults(good, 1000)) or None
    yield "too large", _wanted("the limit is", list(committed.faults(good, committed.MAX_BYTES + 1)))

    wrong = copy.deepcopy(good)
    wrong.cells[0].source = "%autoget"
    wrong.cells[1].execution_count = 7
    wrong.metadata.kernelspec.name = "gonb"
    wrong.cells.append(new_markdown_cell("![logo](https://example.com/logo.png)"))
    for word in ("%noautoget", "top to bottom", "its kernel is not", "network"):
        yield word, _wanted(word, list(committed.faults(wrong, 1000)))

    other = copy.deepcopy(good)
    other.cells[1].outputs[0].text = "0.72\n"
    yield "not stable", f"{list(committed.differences(good, other))}" if list(committed.differences(good, other)) else None
    good.cells[1].metadata.tags = other.cells[1].metadata.tags = ["stable"]
    yield "stable", _wanted("'0.71' is now '0.72'", [f.says for f in committed.differences(good, other)])
    yield "stable and equal", f"{list(committed.differences(good, good))}" if list(committed.differences(good, good)) else None


def _by_hand():
    """What a user at JupyterLab meets and no notebook shows."""
    with Session() as session:
        print(f"the first Tab was answered after {session.warm():.1f} s")
        problem, line = judge_tabs(session, 10)
        print(line)
        yield "the Tab key", problem
        code = "%%\nfmt.Println(helper(1))"
        data = session.client.inspect(code, len(code) - 6, reply=True, timeout=60)["content"]["data"]
        yield "hover", _wanted("func helper(x int) int", [str(data)])
        for mistake, wanted in MISTAKES:
            shown = session.mistake(mistake)
            yield f"the error of {mistake!r}", None if shown == wanted else f"it is {shown} and not {wanted}"
        left = session.kill()
        yield "a killed kernel", f"it leaves {left}" if left else None
    yield "a run that outlives a restart", judge_restart()
