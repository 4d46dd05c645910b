# SPDX-License-Identifier: Apache-2.0
"""The cells that a page prints, as a notebook: what a reader types is what is run."""

import copy
import re

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from . import committed

CELL = re.compile(r"^```go\n(%%\n.*?)^```$", re.MULTILINE | re.DOTALL)


def notebook(page, folder):
    """Writes the page's cells, byte for byte and in their order, into a notebook in the folder; returns its path.

    The page does not print the imports, which goimports finds.
    """
    cells = CELL.findall(page.read_text())
    assert cells, f"{page} prints no cell"
    made = new_notebook(cells=[new_code_cell("%noautoget"), *map(new_code_cell, cells)], metadata=copy.deepcopy(committed.METADATA))
    path = folder / (page.stem + ".ipynb")
    nbformat.write(made, path)
    return path
