"""Pretrain on three real data sets without labels, probe each: ``python -m benchmarks.real``.

The data lie in the folder that SORA_DATA names: handwash, wagon and survfight, each with a labels.csv.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from textwrap import wrap

import numpy as np
import torch

from sora_video.base.files import write_json, write_text
from sora_video.configs.schema import PretrainConfig
from sora_video.downstream.probe.metrics import Estimate
from sora_video.downstream.probe.probe import linear_probe
from sora_video.downstream.probe.results import Results
from sora_video.downstream.probe.table import cell
from sora_video.pretrain.training.init import new_config
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.run.folder import Run
from sora_video.pretrain.video.corpus import open_corpus

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("SORA_DATA", ROOT.parent / "shared" / "data"))
RESULTS = Path(__file__).parent / "results"
TASKS = {
    "handwash, by recording": ("handwash", "split"),
    "handwash, across sinks": ("handwash", "split_by_sink"),
    "wagon": ("wagon", "split"),
    "survfight": ("survfight", "split"),
}

ADAPT = (
    "slice.frames=2",
    "slice.fps=2",
    "slice.per_video=2",
    "slice.max_gap_s=0",
    "optim.batch_size=64",
    "optim.lr=3e-4",
    "optim.layer_decay=0.8",
    "encoder.freeze=4",
    "loss.temperature=0.1",
    "augment.size=96",
    "augment.crop_area=[0.5,1]",
    "augment.crop_aspect=[0.9,1.1]",
    "augment.flip=0",
    "augment.grey=0",
    "augment.hue=0",
    "augment.blur=0.8",
    "augment.blur_sigma=[0.1,2.5]",
    "optim.epochs=29",
    "optim.warmup_epochs=2.9",
)
"""With ``--init``, in place of a recipe: views of one slice, which undergo what copies undergo, for about as
long as `tiny-cpu` takes."""
LEARNT = {"linear": ("linear", "balanced"), "kNN": ("knn", "balanced"), "R@1": ("retrieval", "R@1")}
"""Columns of the table: protocol and metric."""


def main() -> None:
    """Pretrain, probe every task, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", help="recipe or YAML file; else tiny-cpu, or ADAPT with --init")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, help="keep runs in this folder, and go on from there")
    parser.add_argument("--init", help="model spec to start from")
    parser.add_argument("overrides", nargs="*", help="settings, as in optim.epochs=10")
    arguments = parser.parse_args()
    recipe = arguments.config or (None if arguments.init else "tiny-cpu")
    settings = [] if recipe else ADAPT
    config = new_config(recipe, [*settings, *arguments.overrides], arguments.init)
    with ExitStack() as stack:
        folder = arguments.runs or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        runs = [trained(folder / f"seed {seed}", config, seed) for seed in range(arguments.seeds)]
        minutes = [json.loads((run / "minutes.json").read_text()) for run in runs]
        probes = {(task, by): probe(task, runs, by) for by in ways(config) for task in TASKS}
        losses = [Run.open(run).log()[-1]["loss"] for run in runs]
    facts = {
        "pretraining": f"{len(task_videos())} videos, {config.optim.epochs} epochs, seeds 0 to "
        f"{len(runs) - 1}, {said(minutes, 1)} minutes each, final loss {said(losses, 3)}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}",
        "overrides": " ".join(arguments.overrides) or "none",
    }
    start = f"--init {arguments.init}" if arguments.init else ""
    table = markdown(probes, " ".join(filter(None, [recipe or "ADAPT", start])), facts)
    name = "real-init" if arguments.init else "real"
    print(table)
    write_text(RESULTS / f"{name}.md", table)
    found = {task + (f", by {by}" if by else ""): results.as_json() for (task, by), results in probes.items()}
    write_json(RESULTS / f"{name}.json", {"facts": facts, **found, "config": config.model_dump(mode="json")})


def trained(run: Path, config: PretrainConfig, seed: int) -> Path:
    """A run with a seed, trained unless it is there, and in it how many minutes that took."""
    if not (run / "minutes.json").exists():
        began = time.monotonic()
        pretrain_encoder(task_videos(), run, config.model_copy(update={"seed": seed}))
        write_json(run / "minutes.json", (time.monotonic() - began) / 60)
    return run


def ways(config: PretrainConfig) -> list[str | None]:
    """The aspects that an encoder is probed by: all together, and each alone."""
    return [None, "look", "motion"] if config.encoder.input == "both" else [None]


def probe(task: str, runs: Sequence[Path], by: str | None) -> Results:
    """The probe of one task, over seeds."""
    folder, split = TASKS[task]
    return linear_probe(DATA / folder / "labels.csv", runs, split=split, by=by)


def said(values: Sequence[float], digits: int) -> str:
    """The least and the greatest of some numbers."""
    ends = dict.fromkeys(f"{value:.{digits}f}" for value in (min(values), max(values)))
    return " to ".join(ends)


def write_table(name: str, title: str, text: str, columns: Sequence[str], rows: Iterable[str]) -> None:
    """Print a table as it comes and write it to the results when it is whole."""
    lines = [f"# {title}", "", *wrap(" ".join(text.split()), 110, break_on_hyphens=False), ""]
    lines += ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    print("\n".join(lines), flush=True)
    for row in rows:
        print(row, flush=True)
        lines.append(row)
    write_text(RESULTS / name, "\n".join(lines) + "\n")


def kept_rows(name: str, measured: Container[str]) -> Iterator[str]:
    """The rows that a table of the results has, but for those whose first cell is measured anew."""
    _, *lines = (line for line in (RESULTS / name).read_text("utf-8").splitlines() if line.startswith("| "))
    yield from (line for line in lines if line.split("|")[1].strip() not in measured)


def task_videos() -> list[Path]:
    """All videos of all tasks, without their labels."""
    folders = sorted({folder for folder, _ in TASKS.values()})
    return [video.path for folder in folders for video in open_corpus(DATA / folder / "labels.csv").videos]


def markdown(probes: dict[tuple[str, str | None], Results], recipe: str, facts: dict[str, str]) -> str:
    """The table of all tasks, and the means of the tasks."""
    stated = "; ".join(f"{name}: {value}" for name, value in facts.items())
    text = f"""`make bench-real` with the recipe `{recipe}`; {stated}. Means over seeds, with the 95 %
    bootstrap interval over groups of videos and seeds, and ± the deviation over seeds. linear and kNN are
    balanced accuracy on the test rows; R@1 is retrieval from train by test; random is the mean of 3
    untrained encoders of the same shape; mean frame, motion map: 1-NN on raw pixels. Pretraining saw all
    videos, the test rows included, and no label. C and k are chosen by group-safe folds of the training
    rows; nothing is chosen on test rows."""
    columns = ["task", "chance", *LEARNT, *(f"random {name}" for name in LEARNT), "mean frame", "motion map"]
    lines = ["# Real video, pretrained without labels", ""]
    lines += [*wrap(" ".join(text.split()), 110, break_on_hyphens=False), ""]
    lines += ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for by in dict.fromkeys(by for _, by in probes):
        own = {task: results for (task, way), results in probes.items() if way == by}
        suffix = f", by {by}" if by else ""
        lines += [line(task + suffix, results) for task, results in own.items()]
        means = [np.mean([numbers(results)[place] for results in own.values()]) for place in range(8)]
        cells = [f"{mean:.3f}" for mean in means]
        lines.append(f"| mean{suffix} |  | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def line(name: str, results: Results) -> str:
    """The row of one task."""
    learnt = [cell(estimate_of(results, 0, column)) for column in LEARNT]
    rest = [f"{number:.3f}" for number in numbers(results)[len(LEARNT) :]]
    return f"| {name} | {results.split.chance:.3f} | " + " | ".join([*learnt, *rest]) + " |"


def numbers(results: Results) -> list[float]:
    """The values of a task's row, but for chance."""
    found = [estimate_of(results, features, column).value for features in (0, 1) for column in LEARNT]
    return [*found, *(estimate_of(results, features, "kNN").value for features in (2, 3))]


def estimate_of(results: Results, features: int, column: str) -> Estimate:
    """What some features reach, by a column of the table."""
    protocol, metric = LEARNT[column]
    return results.scores[features].estimates[protocol][metric]


if __name__ == "__main__":
    main()
