# SPDX-License-Identifier: Apache-2.0
"""The commands behind scripts/notebooks and scripts/lab --check."""

import argparse
import pathlib
import sys
import time

import nbformat

from . import committed, judge, printed
from .execute import copies, execute

# Pages whose cells are run after the notebooks, whose runs they may look at.
PAGES = [judge.ROOT / "README.md"]


def main():
    parser = argparse.ArgumentParser(prog="notebookrunner")
    commands = parser.add_subparsers(required=True)
    for name, command in (("run", run), ("write", write), ("selftest", selftest), ("tabs", tabs), ("browser", browser)):
        sub = commands.add_parser(name)
        sub.set_defaults(command=command)
        sub.add_argument("notebooks", nargs="*", type=pathlib.Path)
        sub.add_argument("--timeout", type=int, default=900)
        sub.add_argument("--show", action="store_true")
        sub.add_argument("--screenshots", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.all = not arguments.notebooks
    arguments.notebooks = [path.resolve() for path in arguments.notebooks] or sorted((judge.ROOT / "notebooks").glob("*.ipynb"))
    sys.exit(arguments.command(arguments))


def run(arguments):
    """Runs copies, short unless told otherwise, and compares stable cells with what is committed."""
    failed, count = 0, len(arguments.notebooks)
    with copies(arguments.notebooks) as (copy, environment):
        for path in arguments.notebooks:
            was = nbformat.read(path, as_version=4)
            done = execute(copy(path), environment, arguments.timeout)
            faults = [str(f) for f in done.faults]
            if not faults:
                faults += map(str, committed.differences(was, done.notebook))
            faults += [f for f in committed.faults(was, path.stat().st_size) if f not in faults]
            failed += report(path, done, faults, arguments.show)
        for page in PAGES if arguments.all else []:
            done = execute(printed.notebook(page, copy(arguments.notebooks[0]).parent), environment, arguments.timeout)
            failed += report(page, done, [str(f) for f in done.faults], arguments.show)
            count += 1
    return close(count, failed)


def write(arguments):
    """Runs the notebooks where they are, in full, and writes the outputs of those without fault back into them."""
    failed = 0
    for path in arguments.notebooks:
        done = execute(path, {"METROLAB_NOTEBOOKS": "full"}, arguments.timeout)
        faults = [str(f) for f in done.faults]
        if not faults:
            notebook = committed.normal(done.notebook)
            size = len(nbformat.writes(notebook).encode()) + 1
            faults = list(committed.faults(notebook, size))
        if not faults:
            print(f"{path.name}: {committed.write(notebook, path) / 1000:.0f} KB written")
        failed += report(path, done, faults, arguments.show)
    return close(len(arguments.notebooks), failed)


def report(path, done, faults, show):
    """Says how a notebook went; returns whether it failed."""
    seconds, slowest = max(zip(done.seconds, range(1, 1 + len(done.seconds))), default=(0, 0))
    print(f"{path.name}: {'FAILED' if faults else 'ok'}, {sum(done.seconds):.1f} s, the longest cell is {slowest} with {seconds:.1f} s")
    for fault in faults:
        print(f"{path.name}, {fault}")
    for cell in done.notebook.cells if show else []:
        for output in cell.get("outputs", []):
            if output.get("name") == "stdout":
                print("  " + judge.text(output.text).rstrip().replace("\n", "\n  "))
    sys.stdout.flush()
    return bool(faults)


def close(count, failed):
    print(f"notebooks: {count - failed} passed, {failed} failed")
    return int(failed > 0)


def selftest(arguments):
    from .selftest import selftest as test

    started = time.monotonic()
    passed, failed = test(arguments.timeout)
    print(f"the faults were looked for in {time.monotonic() - started:.0f} s")
    print(f"notebooks: {passed} passed, {failed} failed")
    return int(failed > 0)


def tabs(arguments):
    """Presses Tab a hundred times in a kernel that is ready."""
    from .session import Session, judge_tabs

    with Session() as session:
        print(f"the first Tab was answered after {session.warm():.1f} s")
        problem, line = judge_tabs(session, 100)
    print(problem or line)
    return int(problem is not None)


def browser(arguments):
    from .browser import session

    return session(arguments.notebooks[0], arguments.screenshots)


if __name__ == "__main__":
    main()
