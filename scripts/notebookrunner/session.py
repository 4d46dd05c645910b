# SPDX-License-Identifier: Apache-2.0
"""A kernel as a user's Jupyter has it, asked what no notebook asks: the Tab key, a name, a mistake, a restart, a hard end."""

import contextlib
import os
import pathlib
import re
import statistics
import tempfile
import time

import psutil
from jupyter_client.manager import start_new_kernel

from .execute import KERNEL

# JupyterLab shows nothing that comes later.
TAB_SECONDS = 1.0
MEDIAN_SECONDS = 0.4
SHARE = 0.95
WARM_SECONDS = 300

# What the cells before have declared.
EARLIER = [
    "%noautoget",
    'import (\n\t"metrolab/metro/recipes"\n\t"metrolab/notebooks/view"\n\t"metrolab/viz"\n\t"metrolab/viz/notebook"\n)\n\n'
    "func helper(x int) int { return x + 1 }\n\ntype arm struct{ weight float64 }\n\nvar answer = 42\n\n"
    "%%\nloss := helper(answer)\nfmt.Println(loss)",
]

# Text up to the cursor, and a name that must be offered there.
TABS = [
    ('import "metrolab/layers"\n\n%%\nfmt.Println(layers.SignedLogBuck', "SignedLogBucket"),
    ("%%\nfmt.Printl", "Println"),
    ("%%\nconfig := recipes.Ti", "Tiny"),
    ("%%\nconfig := recipes.Tiny()\nconfig.Trai", "Training"),
    ("%%\nconfig := recipes.Tiny()\nconfig.Training.Ste", "Steps"),
    ("%%\nnotebook.Sh", "Show"),
    ("%%\nfmt.Println(help", "helper"),
    ("%%\nfmt.Println(ans", "answer"),
    ("%%\na := arm{}\nfmt.Println(a.wei", "weight"),
    ("%%\nc := viz.Curves{Na", "Name"),
    ("%%\nwords := strings.Spl", "Split"),
    ('import "metrolab/metro/runs"\n\n%%\nruns.Sto', "Store"),
    ("%%\nview.Op", "Open"),
    ("%%\nfor i := range 3 {\n\tmath.Sq", "Sqrt"),
    ("func steps(config metro.Con", "Config"),
    ('%%\ns := "é😀"\nfmt.Printl', "Println"),
]

# Cells with a mistake, and the error that must be shown, line by line.
MISTAKES = [
    ('%%\nvar x int = "a"\ny := 2', ["line 2: declared and not used: x",
     'line 2: cannot use "a" (untyped string constant) as int value in variable declaration', "line 3: declared and not used: y"]),
    ("%%\nhelper(1, 2)", ["line 2: too many arguments in call to helper; have (number, number); want (int)"]),
    ("%%\nfmt.Println(loss)", ["line 2: undefined: loss; cell [2] has it below its %%, and what is there ends with the cell: "
     "declare it above the %% (var loss = …, or a function that returns it), or make it again here"]),
    ("x := 3", ["line 1: expected declaration, found x; statements stand below a line %%, declarations above it"]),
    ('import "metrolab/nosuch"\n\n%%\nnosuch.Do()', ["line 1: this checkout has no package metrolab/nosuch"]),
    ('%%\nfmt.Fprintln(os.Stderr, "✗ no such run")\nos.Exit(1)', ["✗ no such run", "exit status 1"]),
]

# A run in the background that does not end by itself, what follows it, and what ends it.
BEGIN = """import (
	"metrolab/metro/recipes"
	"metrolab/notebooks/lab"
)

%%
config := recipes.Micro()
config.Training.Steps, config.Training.LogEvery = 1_000_000, 1
fmt.Println(lab.Open().Start("followed", config).ID)"""
FOLLOW = 'import "metrolab/notebooks/view"\n\n%%\nview.Follow("followed")'
END = 'import "metrolab/notebooks/view"\n\n%%\nview.Stop("followed")'


class Session:
    """A kernel that is started, with the cells before run."""

    def __init__(self, folder=None, earlier=EARLIER, **environment):
        self.folder, self.earlier, self.environment = folder, earlier, environment

    def __enter__(self):
        env = dict(os.environ, GOPROXY="off", **self.environment)
        self.manager, self.client = start_new_kernel(kernel_name=KERNEL, env=env, cwd=self.folder)
        for cell in self.earlier:
            reply = self.client.execute(cell, reply=True, timeout=300)["content"]
            assert reply["status"] == "ok", reply
        return self

    def __exit__(self, *_):
        self.client.stop_channels()
        self.manager.shutdown_kernel()

    def tab(self, code):
        """Presses Tab at the end of a text; returns what is offered, and the seconds that it took."""
        began = time.monotonic()
        content = self.client.complete(code, len(code), reply=True, timeout=60)["content"]
        return content["matches"], time.monotonic() - began

    def warm(self):
        """Waits until the first Tab is answered; returns the seconds since the first was pressed."""
        began = time.monotonic()
        while time.monotonic() - began < WARM_SECONDS:
            if self.tab("%%\nfmt.Printl")[0]:
                return time.monotonic() - began
        raise AssertionError(f"no Tab was answered in {WARM_SECONDS} s")

    def tabs(self, count):
        """Presses Tab so often, in cells that differ; returns the seconds of those that found the name, and what the others said."""
        found, missed = [], []
        for i in range(count):
            code, name = TABS[i % len(TABS)]
            head, main, body = code.rpartition("%%\n")
            code = f"{head}{main}_ = {i}\n{body}" if main else code
            matches, seconds = self.tab(code)
            if any(match.endswith(name) for match in matches) and seconds <= TAB_SECONDS:
                found.append(seconds)
            else:
                missed.append(f"{code.splitlines()[-1]!r} after {seconds:.2f} s: {matches[:3]}")
        return found, missed

    def mistake(self, code):
        """Runs a cell that fails; returns the lines that are shown in red."""
        shown = []

        def output(message):
            content = message["content"]
            if message["msg_type"] == "stream" and content["name"] == "stderr":
                shown.extend(content["text"].splitlines())
            elif message["msg_type"] == "error":
                shown.extend("\n".join(content["traceback"]).splitlines())
            elif message["msg_type"] == "display_data":
                shown.append(str(content["data"]))

        self.client.execute_interactive(code, output_hook=output, timeout=300)
        return shown

    def cell(self, code, upon=None):
        """Runs a cell, and interrupts it upon the first message of a type if one is named; returns what it prints, and the types
        of its messages."""
        said, types = [], []

        def output(message):
            if message["msg_type"] == upon and upon not in types:
                self.manager.interrupt_kernel()
            types.append(message["msg_type"])
            if message["msg_type"] == "stream":
                said.append(message["content"]["text"])

        self.client.execute_interactive(code, output_hook=output, timeout=300)
        return "".join(said), types

    def restart(self):
        """Restarts the kernel, as the button does."""
        self.manager.restart_kernel()
        self.client.wait_for_ready(timeout=120)

    def sleeping(self):
        """Starts a cell that never ends, and waits until its program runs."""
        self.client.execute("%%\ntime.Sleep(time.Hour)")
        kernel = psutil.Process(self.manager.provisioner.process.pid)
        until = time.monotonic() + 120
        while not any(name.startswith("gonb_") for name in _names(kernel.children(recursive=True))):
            assert time.monotonic() < until, "no program of a cell runs"
            time.sleep(0.1)
        return kernel

    def kill(self):
        """Kills the kernel as the system does that is out of memory, while a cell runs; returns what it leaves running."""
        kernel = self.sleeping()
        family = kernel.children(recursive=True)
        assert "gopls" in _names(family), f"gopls is not among {family}"
        kernel.kill()
        return _names(psutil.wait_procs(family, timeout=15)[1])


def _names(processes):
    """The names of those that run."""
    names = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                names.append(process.name())
    return names


def judge_restart():
    """What is wrong with a run in the background when the kernel that began it is restarted, or None.

    It should go on, be shown from where it stands by a cell of the new kernel, go on when that is interrupted, and stop when it is
    told to. The worker that began it leaves when its working directory is gone.
    """
    with tempfile.TemporaryDirectory(prefix="metrolab-restart-") as folder:
        text = pathlib.Path(folder, "text.txt")
        text.write_text("\n\n".join(f"the {i % 7} readers open {i % 11} files and close {i % 5} of them before noon." for i in range(3000)))
        with Session(folder, ["%noautoget"], METROLAB_CORPUS=str(text), METROLAB_RUNS=folder + "/runs") as session:
            began, _ = session.cell(BEGIN)
            if not re.fullmatch(r"followed-\w+\n", began):
                return f"it is begun with {began!r}"
            session.restart()
            followed, types = session.cell(FOLLOW, upon="display_data")
            step = re.fullmatch(r"followed-\w+ goes on: step (\d+) of 1000000; .*\n", followed)
            if not step or "display_data" not in types:
                return f"after the restart, following it shows {types} and says {followed!r}"
            ended, _ = session.cell(END)
            saved = re.match(r"followed-\w+ has stopped, saved after step (\d+) of 1000000", ended)
            if not saved or int(saved[1]) < int(step[1]):
                return f"it was followed to step {step[1]}, and stopping it says {ended!r}"
    return None


def judge_tabs(session, count):
    """What is wrong with the answers to so many Tabs, or None; and a line about them."""
    found, missed = session.tabs(count)
    median = statistics.median(found or [60])
    line = f"{len(found)} of {count} Tabs found the name within {TAB_SECONDS:g} s, median {median:.2f} s, load {os.getloadavg()[0]:.1f}"
    if len(found) < int(SHARE * count) or median > MEDIAN_SECONDS:
        return "; ".join([line, *missed[:3]]), line
    return None, line
