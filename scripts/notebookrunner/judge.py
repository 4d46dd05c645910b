# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the outputs of a notebook, a sentence each."""

import base64
import json
import os
import pathlib
import re
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A shell command or a magic that fails leaves the kernel content, and so does a figure that cannot be drawn; only stderr tells.
FAILURES = re.compile(
    r"^(viz: .+|exit status [1-9]\d*|signal: .+|panic: .+|fatal error: .+|.*(?:unknown or not implemented|[Uu]nknown magic).*)$",
    re.MULTILINE,
)
ANSI = re.compile(r"\x1b\[[0-9;]*m")

# What JupyterLab shows of a notebook that is not trusted, and GitHub shows too.
STATIC_IMAGES = {"image/png", "image/jpeg"}
SCRIPTS = {"application/javascript", "text/javascript", "application/vnd.jupyter.widget-view+json"}
VEGA = re.compile(r"^application/vnd\.vega(lite)?\.v\d+\+json$")

SCRIPT_HTML = re.compile(r"<script|\son\w+\s*=|javascript:", re.IGNORECASE)
EMBEDDED = re.compile(
    r"""<(?:img|iframe|link|source|video|audio|embed|object|use)\b[^>]*\b(?:src|href|data)\s*=\s*["']?\s*(?:https?:)?//"""
    r"""|url\(\s*["']?(?:https?:)?//|@import""",
    re.IGNORECASE,
)
MARKDOWN_IMAGE = re.compile(r"!\[[^\]]*\]\(\s*<?(?:https?:)?//")


@dataclass(frozen=True)
class Fault:
    """Something wrong with a cell; cells are counted from 1, Markdown cells too, as a reader would."""

    cell: int
    says: str

    def __str__(self):
        return f"cell {self.cell}: {self.says}"


def text(value):
    """A multi-line string of a notebook, which may be a list of lines."""
    return "".join(value) if isinstance(value, list) else value


def tags(cell):
    return cell.metadata.get("tags", [])


def faults(notebook):
    """All that is wrong with a notebook that has been run, as a list of Fault."""
    found = []
    for number, cell in enumerate(notebook.cells, 1):
        says = [f"it shows something from the network, {hit!r}" for hit in _network(cell.source, "text/markdown")] \
            if cell.cell_type == "markdown" else _code_cell(cell)
        found += [Fault(number, s) for s in says]
    return found


def _code_cell(cell):
    failure = _failure(cell)
    if "raises-exception" in tags(cell):
        return [] if failure else ["it is tagged raises-exception and did not fail"]
    says = [failure] if failure else []
    for output in cell.outputs:
        says += _data(output.get("data", {}))
    return says + _machine(cell)


def _failure(cell):
    """Why the cell failed, in one line, or None."""
    for output in cell.outputs:
        if output.output_type == "error":
            return brief(output.evalue)
        if output.output_type == "stream" and output.name == "stderr":
            hit = FAILURES.search(ANSI.sub("", text(output.text)))
            if hit:
                return f"the kernel says ok, but stderr says {hit.group(0).strip()!r}"
    return None


def brief(message):
    """The first lines of an error, less the colors and the line in which the compiler names the package."""
    lines = [line.strip() for line in ANSI.sub("", message).splitlines()]
    return "; ".join([line for line in lines if line and not line.startswith("# ")][:3]) or "no message"


def _data(data):
    """Faults of one output's bundle of representations."""
    says = [f"its output {kind} is a script, which an untrusted notebook does not run" for kind in SCRIPTS & set(data)]
    for kind in ("text/html", "text/markdown"):
        says += [f"its {kind} shows something from the network, {hit!r}" for hit in _network(text(data.get(kind, "")), kind)]
        if SCRIPT_HTML.search(text(data.get(kind, ""))):
            says.append(f"its {kind} needs a script, which an untrusted notebook does not run")
    if "image/svg+xml" in data or "<svg" in text(data.get("text/html", "")).lower():
        says.append("it shows SVG, which is blank in an untrusted notebook; show PNG")
    if STATIC_IMAGES & set(data) and not text(data.get("text/plain", "")).strip():
        says.append("its picture has no text/plain beside it, which is what a reader who cannot see it gets")
    for kind, spec in data.items():
        if VEGA.match(kind):
            says += _vega(spec, data)
    return says


def _network(content, kind):
    """What a reader's program would fetch to show the content."""
    hits = [EMBEDDED.search(content)]
    if kind == "text/markdown":
        hits.append(MARKDOWN_IMAGE.search(content))
    return [hit.group(0)[:80] for hit in hits if hit]


def _vega(spec, data):
    if not STATIC_IMAGES & set(data):
        yield "its Vega-Lite figure has no PNG beside it, which is what GitHub shows"
    if isinstance(spec, str):
        head, _, body = spec.partition(",")
        if not head.startswith("data:"):
            yield f"its Vega-Lite figure is fetched from {spec[:60]!r}"
            return
        spec = json.loads(base64.b64decode(body) if head.endswith(";base64") else body)
    if any(key == "url" and not str(value).startswith("data:") for key, value in _items(spec)):
        yield "its Vega-Lite figure fetches its data"


def _items(value):
    """Every key and value at any depth of a JSON value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _items(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _items(inner)


def _machine(cell):
    """Paths that are of this machine or of this run, and so have no place in what others read."""
    shown = "\n".join(
        [text(o.get("text", "")) for o in cell.outputs]
        + [text(v) for o in cell.outputs for k, v in o.get("data", {}).items() if k.startswith("text/")]
    )
    own = [re.escape(path) + r"\b" for path in {str(ROOT), os.path.expanduser("~")} - {"/"}] + ["/tmp/(?:gonb_|metrolab-)"]
    hit = re.search("|".join(own), shown)
    return [f"it prints a path of this machine, {hit.group(0)}"] if hit else []
