# SPDX-License-Identifier: Apache-2.0
"""Runs one notebook in the checkout's kernel."""

import contextlib
import os
import pathlib
import shutil
import tempfile
import time
from dataclasses import dataclass, field

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from . import judge

KERNEL = "metrolab"


@dataclass
class Execution:
    """A notebook with the outputs of this run, the seconds each cell took, and what was wrong."""

    notebook: nbformat.NotebookNode
    seconds: list[float] = field(default_factory=list)
    faults: list[judge.Fault] = field(default_factory=list)


@contextlib.contextmanager
def copies(paths):
    """The folders of the notebooks, in a temporary place: a run leaves nothing in the checkout.

    Yields a function from a path to its copy, and the environment that makes cells keep their runs there too.
    """
    with tempfile.TemporaryDirectory(prefix="metrolab-notebooks-") as folder:
        made = {}
        for parent in {path.parent for path in paths}:
            made[parent] = pathlib.Path(folder, str(len(made)), parent.name)
            shutil.copytree(parent, made[parent], ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        environment = {
            "METROLAB_NOTEBOOKS": os.environ.get("METROLAB_NOTEBOOKS", "short"),
            "METROLAB_RUNS": os.environ.get("METROLAB_RUNS", f"{folder}/runs"),
        }
        yield lambda path: made[path.parent] / path.name, environment


def execute(path, environment, timeout):
    """Runs the notebook in its folder, up to the first cell that fails; timeout is in seconds and for one cell.

    The kernel sees a folder of programs without gopls, which nothing here asks anything, and a temporary folder of its own:
    a kernel that is killed leaves both behind.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    run = Execution(notebook, seconds=[0.0] * len(notebook.cells))
    with tempfile.TemporaryDirectory(prefix="metrolab-kernel-") as folder:
        log = pathlib.Path(folder, "kernel.log")
        env = dict(os.environ, **environment, GOPROXY="off", TMPDIR=folder, METROLAB_KERNEL_LOG=str(log))
        env["METROLAB_TOOLS"] = _tools(folder)
        try:
            _run_cells(run, path, env, timeout, log)
        finally:
            left = _stop_what_is_left(folder)
    if left and not run.faults:
        run.faults.append(judge.Fault(len(notebook.cells), f"it left a program running, {left[0]}"))
    seen = {fault.cell for fault in run.faults}
    run.faults += [fault for fault in judge.faults(notebook) if fault.cell not in seen and _was_run(notebook, fault)]
    return run


def _tools(folder):
    """A folder with the kernel's programs, less the language server."""
    source = pathlib.Path(os.environ.get("METROLAB_TOOLS") or judge.ROOT / "tools" / "bin")
    tools = pathlib.Path(folder, "tools")
    tools.mkdir()
    for name in ("notebookkernel", "gonb", "goimports"):
        (tools / name).symlink_to(source / name)
    return str(tools)


def _stop_what_is_left(folder):
    """Kills what the kernel started and left behind, told by its temporary folder; returns the names.

    The lab's worker outlives cells and kernels, as it should, and is no fault.
    """
    left = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TMPDIR") == folder:
                if pathlib.Path(process.exe()).parent.parent.name != "workers":
                    left.append(process.name())
                process.kill()
    return left


def _run_cells(run, path, env, timeout, log):
    started = {}

    def start(cell, cell_index):
        started[cell_index] = time.monotonic()

    def complete(cell, cell_index, execute_reply):
        run.seconds[cell_index] = time.monotonic() - started[cell_index]

    client = NotebookClient(
        run.notebook, kernel_name=KERNEL, timeout=timeout, startup_timeout=120, iopub_timeout=30, record_timing=False,
        coalesce_streams=True, interrupt_on_timeout=False, resources={"metadata": {"path": str(path.parent)}},
        on_cell_execute=start, on_cell_executed=complete,
    )

    def fail(says):
        run.faults.append(judge.Fault(max(started, default=0) + 1, says))

    try:
        client.execute(env=env)
    except CellExecutionError as error:
        fail(judge.brief(error.evalue))
    except CellTimeoutError:
        fail(f"it took more than {timeout} s")
    except (DeadKernelError, RuntimeError) as error:
        fail(f"the kernel died, {_last_words(log) or error}")


def _last_words(log):
    """The kernel's own panic, if its log has one."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    panics = [line for line in lines if line.startswith(("panic:", "fatal error:"))]
    if any("negative Repeat count" in line for line in panics):
        return "as GoNB v0.11.5 does of a line on stderr with a time and then main.go:NN; log.SetFlags(0) leaves both out"
    return panics[-1] if panics else None


def _was_run(notebook, fault):
    """Cells after the one that failed were not run, so their want of outputs is no fault of theirs."""
    cell = notebook.cells[fault.cell - 1]
    return cell.cell_type != "code" or cell.execution_count is not None
