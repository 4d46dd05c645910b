# SPDX-License-Identifier: Apache-2.0
"""The form in which a notebook is committed: run from top to bottom, small, and nothing in it that differs by machine."""

import os
import tempfile

import nbformat

from . import judge
from .execute import KERNEL

MAX_BYTES = 300_000
METADATA = {
    "kernelspec": {"display_name": "Go (metrolab)", "language": "go", "name": KERNEL},
    "language_info": {"file_extension": ".go", "mimetype": "text/x-go", "name": "go"},
}


def normal(notebook):
    """The notebook with fixed metadata, cells counted from 1, and without empty outputs. It is changed in place."""
    notebook.metadata = nbformat.from_dict(METADATA)
    count = 0
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({"tags": judge.tags(cell)} if judge.tags(cell) else {})
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = [_bare(output) for output in cell.outputs if not _empty(output)]
    return notebook


def _bare(output):
    output.pop("transient", None)
    if output.output_type == "execute_result":
        output.execution_count = None
    return output


def _empty(output):
    """An output that was taken away by its program stays in the notebook, as HTML of no length."""
    data = output.get("data", {})
    return output.output_type == "display_data" and all(not judge.text(v).strip() for v in data.values() if isinstance(v, (str, list)))


def faults(notebook, size):
    """What is wrong with a notebook as it is committed; size is that of its file in bytes."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if not code or code[0].source.strip() != "%noautoget":
        yield "its first code cell is not %noautoget alone, so the kernel would look for packages on the network"
    if notebook.metadata.get("kernelspec", {}).get("name") != KERNEL:
        yield f"its kernel is not {KERNEL}"
    if size > MAX_BYTES:
        yield f"it has {size} bytes; the limit is {MAX_BYTES}"
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        yield "it is not committed as run from top to bottom; run ./scripts/notebooks --write on it"
    for fault in judge.faults(notebook):
        yield str(fault)


def differences(was, now):
    """Faults for cells tagged stable whose outputs are not those that are committed."""
    for number, (old, new) in enumerate(zip(was.cells, now.cells), 1):
        if new.cell_type == "code" and "stable" in judge.tags(new) and _shown(old) != _shown(new):
            yield judge.Fault(number, "it is tagged stable, and its output is not the one committed: " + _first_difference(old, new))


def _shown(cell):
    """What the cell shows. Text and figures come from the kernel in two pipes, so their order is not part of it."""
    streams = {name: "".join(judge.text(o.text) for o in cell.outputs if o.get("name") == name) for name in ("stdout", "stderr")}
    bundles = [{kind: judge.text(value) for kind, value in o.data.items()} for o in cell.outputs if "data" in o and not _empty(o)]
    return streams, bundles


def _first_difference(old, new):
    (was, was_data), (now, now_data) = _shown(old), _shown(new)
    for name in was:
        for a, b in zip(was[name].splitlines() + [""], now[name].splitlines() + [""]):
            if a != b:
                return f"{a[:80]!r} is now {b[:80]!r}"
    if len(was_data) != len(now_data):
        return f"{len(was_data)} figures or tables are now {len(now_data)}"
    return next((f"{kind} differs" for a, b in zip(was_data, now_data) for kind in sorted({*a, *b}) if a.get(kind) != b.get(kind)), "")


def write(notebook, path):
    """Puts the notebook in place of the file at once; a half-written one is never seen. Returns its size in bytes."""
    content = (nbformat.writes(notebook) + "\n").encode()
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        file.write(content)
    os.chmod(file.name, path.stat().st_mode & 0o777)
    os.replace(file.name, path)
    return len(content)
