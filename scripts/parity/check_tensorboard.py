#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the events files of `metro runs export --format tensorboard` with TensorBoard's own package, and compares them with
the logs that they were made of.

    python3 -m venv venv && venv/bin/pip install tensorboard==2.21.0
    venv/bin/python scripts/parity/check_tensorboard.py EVENTS [RUNS]

EVENTS is the folder of --output, with a folder a run; RUNS, runs/ if it is left out, is where the runs themselves lie. It exits
with 1 if TensorBoard finds another number of runs, a record that is damaged or is no scalar, or a tag, a step or a value that the
log does not have, or lacks one that it has. Values are compared as 32-bit floats, which is what an events file holds, to
the bit; NaN and the infinities among them. Times may not run backwards, and must be apart as the log's "seconds" are.
"""

import json
import sys
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing import event_accumulator, event_multiplexer

EVERYTHING = {kind: 0 for kind in event_accumulator.DEFAULT_SIZE_GUIDANCE}  # 0: keep all, and no sample of them


def of_log(path):
    """{tag: [(step, value)]} and [(step, seconds)] of a metrics.jsonl."""
    scalars, times = {}, []
    for line in path.read_text().splitlines():
        row = json.loads(line)
        step = row.pop("step")
        for tag, value in row.items():
            scalars.setdefault(tag, []).append((step, float(value)))  # "NaN" and "Infinity" are texts in JSON
        if "seconds" in row:
            times.append((step, row["seconds"]))
    return scalars, times


def same(written, read):
    with np.errstate(over="ignore"):
        written = np.array(written, np.float64).reshape(-1, 2)
        values = written[:, 1].astype(np.float32)
    read = np.array(read, np.float64).reshape(-1, 2)
    return len(read) == len(values) and np.array_equal(written[:, 0], read[:, 0]) and np.array_equal(values, read[:, 1].astype(np.float32), equal_nan=True)


def problems(events, log):
    """What of one run differs, a line each."""
    scalars, times = of_log(log)
    tags = events.Tags()
    others = {kind: found for kind, found in tags.items() if kind != "scalars" and found}
    if others:
        yield f"holds what the log has none of: {others}"
    for tag in sorted(scalars.keys() ^ set(tags["scalars"])):
        yield f"{tag} is only in the {'log' if tag in scalars else 'events file'}"
    for tag in sorted(scalars.keys() & set(tags["scalars"])):
        read = events.Scalars(tag)
        if not same(scalars[tag], [(e.step, e.value) for e in read]):
            yield f"{tag} differs"
        if any(b.wall_time < a.wall_time for a, b in zip(read, read[1:])):
            yield f"{tag} goes back in time"
    if "seconds" in tags["scalars"] and times:
        walls = np.array([e.wall_time for e in events.Scalars("seconds")])
        seconds = np.array([s for _, s in times])
        if len(walls) != len(seconds) or np.abs((walls - walls[0]) - (seconds - seconds[0])).max() > 1e-5:
            yield "its times are not apart as the log's seconds are"


def main():
    folder = Path(sys.argv[1])
    runs = Path(sys.argv[2] if len(sys.argv) > 2 else "runs")
    found = event_multiplexer.EventMultiplexer(size_guidance=EVERYTHING).AddRunsFromDirectory(str(folder)).Reload()
    names, expected = set(found.Runs()), {p.name for p in folder.iterdir() if p.is_dir()}
    failed = names != expected or not names
    if failed:
        print(f"TensorBoard finds the runs {sorted(names)}, and there are {sorted(expected)}")
    for name in sorted(names & expected):
        events = found.GetAccumulator(name)
        wrong = list(problems(events, runs / name / "metrics.jsonl"))
        tags = events.Tags()["scalars"]
        steps = {e.step for tag in tags for e in events.Scalars(tag)}
        count = sum(len(events.Scalars(tag)) for tag in tags)
        print(f"{name}: {count} scalars of {len(tags)} tags at {len(steps)} steps, {'; '.join(wrong) or 'all equal'}")
        failed |= bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()
