"""Pretrain once on three real data sets without labels, probe each: ``python -m benchmarks.real``.

The data lie in the folder that SORA_DATA names: handwash, wagon and survfight, each with a labels.csv.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from sora_video.base.files import write_json, write_text
from sora_video.configs.loader import load_config
from sora_video.downstream.probe.probe import linear_probe
from sora_video.downstream.probe.results import Results
from sora_video.pretrain.training.loop import pretrain_encoder
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


def main() -> None:
    """Pretrain, probe every task, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="tiny-cpu", help="recipe or YAML file")
    parser.add_argument("--out", type=Path, help="keep the run folder here")
    parser.add_argument("overrides", nargs="*", help="settings, as in optim.epochs=10")
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.overrides)
    videos = task_videos()
    with tempfile.TemporaryDirectory() as scratch:
        began = time.monotonic()
        run = pretrain_encoder(videos, arguments.out or Path(scratch) / "run", config)
        minutes = (time.monotonic() - began) / 60
        probes = {
            task: linear_probe(DATA / folder / "labels.csv", run.path, split=split)
            for task, (folder, split) in TASKS.items()
        }
        log = run.log()
    facts = {
        "pretraining": f"{len(videos)} videos, {config.optim.epochs} epochs, {minutes:.1f} minutes, "
        f"final loss {log[-1]['loss']:.3f}, seed {config.seed}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "overrides": " ".join(arguments.overrides) or "none",
    }
    table = markdown(probes, arguments.config, facts)
    print(table)
    write_text(RESULTS / "real.md", table)
    results: dict[str, Any] = {"facts": facts, **{task: probe.as_json() for task, probe in probes.items()}}
    write_json(RESULTS / "real.json", results | {"config": config.model_dump(mode="json")})


def write_table(name: str, title: str, text: str, columns: Sequence[str], rows: Iterable[str]) -> None:
    """Print a table as it comes and write it to the results when it is whole."""
    lines = [f"# {title}", "", *wrap(" ".join(text.split()), 110, break_on_hyphens=False), ""]
    lines += ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    print("\n".join(lines), flush=True)
    for row in rows:
        print(row, flush=True)
        lines.append(row)
    write_text(RESULTS / name, "\n".join(lines) + "\n")


def task_videos() -> list[Path]:
    """All videos of all tasks, without their labels."""
    folders = sorted({folder for folder, _ in TASKS.values()})
    return [video.path for folder in folders for video in open_corpus(DATA / folder / "labels.csv").videos]


def markdown(probes: dict[str, Results], recipe: str, facts: dict[str, str]) -> str:
    """The table of all tasks."""
    said = "; ".join(f"{name}: {value}" for name, value in facts.items())
    learnt_columns = ["linear", "kNN", "R@1"]
    columns = ["task", "chance", *learnt_columns, *(f"random {name}" for name in learnt_columns)]
    columns += ["mean frame", "motion map"]
    lines = [
        "# Real video, pretrained once without labels",
        "",
        f"`make bench-real` with the recipe `{recipe}`; {said}.",
        "linear and kNN are balanced accuracy on the test rows; R@1 is retrieval from train by test; random",
        "is the mean of 3 untrained encoders of the same shape; mean frame, motion map: 1-NN on raw pixels.",
        "Pretraining saw all videos, the test rows included, and no label.",
        "C and k are chosen by group-safe folds of the training rows; nothing is chosen on test rows.",
        "",
        "| " + " | ".join(columns) + " |",
        "|---" * len(columns) + "|",
    ]
    for task, probe in probes.items():
        learnt, random = probe.table()[:2]
        numbers = [
            probe.split.chance,
            *(row[key] for row in (learnt, random) for key in ("linear", "knn", "R@1")),
            probe.scores[2].estimates["knn"]["balanced"].value,
            probe.scores[3].estimates["knn"]["balanced"].value,
        ]
        lines.append(f"| {task} | " + " | ".join(f"{number:.3f}" for number in numbers) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
