"""The training loop, from corpus to finished run folder."""

import hashlib
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightly.utils.scheduler import cosine_warmup_schedule

from sora_video.configs.errors import RunError
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.storage import write_json, write_text

from .batch import Batch
from .cache import FrameCache
from .card import model_card
from .checkpoint import Checkpoints, pack, quality_of, unpack
from .corpus import Corpus, Source, open_corpus
from .data import train_loader
from .fingerprint import fingerprint
from .guard import COLLAPSED, Guard
from .learner import Learner, StepReport
from .meter import Meter
from .quarantine import Quarantine
from .ranks import Common, confer, make_fabric
from .run import Run
from .sampler import EpochSampler
from .signals import StopSignal
from .tracking import Bar, JsonlTracker, Tracker, Trackers, WandbTracker
from .transfer import on_device

__all__ = ["pretrain_encoder"]


def pretrain_encoder(
    source: Source,
    out: str | Path,
    config: PretrainConfig | None = None,
    *,
    resume: bool = False,
    max_minutes: float | None = None,
) -> Run:
    """Learn an encoder from unlabelled video.

    Processes that torchrun or SLURM start together share every step, see :mod:`.learner`.

    Args:
        source: the corpus, see :func:`sora_video.pretrain.corpus.open_corpus`.
        out: the run folder to make, or to continue.
        config: all settings; None: the defaults. Ignored by a resume, which keeps its own.
        resume: continue a run that was stopped, from its last saved step.
        max_minutes: stop, ready to be continued, after that time.

    Returns:
        The finished run.

    Raises:
        ConfigError: the batch cannot be shared out to the groups and processes.
        CorpusError: there is nothing to learn from, or too many videos cannot be read.
        RunError: the run exists already, is finished already, was stopped, or found no finite loss.
        StorageError: the disk is full.
    """
    corpus, out = open_corpus(source), Path(out).expanduser()
    run = Run.open(out) if resume else None
    if run and run.finished:
        raise RunError(f"run {out}: is finished already; choose another --out to train anew")
    run = run or Run.new(out, config or PretrainConfig())
    Training(run, corpus, StopSignal(max_minutes)).complete()
    return run


class Training:
    """All that takes part in one run.

    Args:
        run: the run folder; it is written to once everything else stands.
        corpus: what to learn from.
        stop: says when to stop.
    """

    def __init__(self, run: Run, corpus: Corpus, stop: StopSignal) -> None:
        self.run, self.corpus, self.stop, self.config = run, corpus, stop, run.config
        config, out = run.config, run.path
        self.fabric = make_fabric(config.optim)
        self.checkpoints = Checkpoints(out / "checkpoints", config.checkpoint.keep)
        self.guard = Guard(config.guard)
        state = self.checkpoints.load()
        self.sampler = EpochSampler(
            len(corpus),
            config,
            state["step"] if state else 0,
            self.fabric.global_rank,
            self.fabric.world_size,
        )
        cache = FrameCache(
            out / "cache", int(config.data.cache_gb * 1e9), (config.slice.size, config.slice.size)
        )
        loader = train_loader(corpus, config, cache, self.sampler, pin=self.fabric.device.type == "cuda")
        self.learner = Learner(config, self.fabric, self.sampler)
        if state:
            self.take_over(state)
        self.good = pack(self.state(self.sampler.first_step))
        self.quality, self.measured = torch.zeros((), device=self.fabric.device), 0
        self.quarantine = Quarantine(len(corpus), config.data.max_bad_fraction)
        self.quarantine.read(out / "quarantine.json")
        self.fabric.barrier()
        self.begin_folder()
        self.batches: Iterator[Batch] = on_device(iter(loader), self.fabric.device)

    def begin_folder(self) -> None:
        """Write what a run begins with; the first process alone keeps the run folder."""
        self.tracker: Tracker = Trackers([])
        self.events: Tracker = Trackers([])
        if not self.fabric.is_global_zero:
            return
        self.run.begin()
        out, first = self.run.path, self.sampler.first_step
        trackers: list[Tracker] = [
            JsonlTracker(out / "log.jsonl", first),
            Bar("pretrain", self.sampler.total_steps, "clips"),
        ]
        if self.config.tracking.wandb:
            trackers.append(WandbTracker(self.config, out))
        self.tracker, self.events = Trackers(trackers), JsonlTracker(out / "events.jsonl", first)

    def complete(self) -> None:
        """Take every step that is left and finish the run."""
        try:
            with self.stop.watched():
                self.steps()
            self.guard.check_end()
        finally:
            if self.fabric.is_global_zero:
                self.quarantine.write(self.run.path / "quarantine.json")
            self.tracker.close()
            self.events.close()
        if self.fabric.is_global_zero:
            finish(self)
        self.fabric.barrier()

    def steps(self) -> None:
        """Take every step that is left, logging, saving and heeding signals."""
        meter, saved = Meter(self.learner.clock, self.fabric.world_size), time.monotonic()
        for step in range(self.sampler.first_step, self.sampler.total_steps):
            batch = meter.wait(self.batches)
            due = self.fabric.is_global_zero and time.monotonic() - saved > self.config.checkpoint.every_s
            common = confer(self.fabric, batch, self.sampler, stop=self.stop.asked, save=due)
            for failure in common.failures:
                self.quarantine.add(failure)
            if common.computable:
                self.take(step, batch, common, meter)
            done, last = step + 1, step + 1 == self.sampler.total_steps
            if done % self.config.tracking.every == 0 or last:
                self.log(done, meter)
            if common.stop or (common.save and not last):
                self.save(done)
                saved = time.monotonic()
            if common.stop and not last:
                raise RunError(f"run {self.run.path}: stopped after step {done}; continue it with --resume")

    def take(self, step: int, batch: Batch, common: Common, meter: Meter) -> None:
        """Take one step, or skip it where its loss or gradient is not finite."""
        set_learning_rate(self.learner, self.guard.lr_scale, step)
        report = self.learner.step(batch, common, step)
        if report.culprits is not None:
            self.skip(step + 1, report)
            return
        self.guard.taken()
        meter.add(batch, report.metrics)
        self.quality += report.metrics["alignment"] + report.metrics["uniformity"]
        self.measured += 1

    def skip(self, done: int, report: StepReport) -> None:
        """Note a step that was not taken; go back where there were too many of them."""
        ids = (video.video_id for video in self.corpus.videos)
        names = dict(zip(self.corpus.numbers(), ids, strict=True))
        record = {name: repr(report.metrics[name].item()) for name in ("loss", "gradient")}
        videos = [names[number] for number in report.culprits or ()]
        self.events.log(done, {"event": "skipped", **record, "videos": videos})
        if self.guard.skipped():
            self.learner.load(unpack(self.good))
            self.events.log(done, {"event": "rollback", "lr_scale": self.guard.lr_scale})
            self.say(f"step {done}: went back to an earlier state; learning rate x {self.guard.lr_scale:g}")

    def log(self, done: int, meter: Meter) -> None:
        """Write a line of metrics, and warn of a collapse."""
        rate = self.learner.optimizer.param_groups[0]["lr"]
        metrics = {"epoch": done / self.sampler.steps_per_epoch, "lr": rate, **meter.read()}
        self.tracker.log(done, metrics)
        if metrics.get("std", 1.0) < COLLAPSED:
            self.events.log(done, {"event": "collapse", "std": metrics["std"]})
            self.say(
                f"step {done}: embeddings are all nearly alike (std {metrics['std']:.3f}, normal is near 1); "
                "lower optim.lr, or raise loss.temperature or optim.batch_size"
            )

    def say(self, text: str) -> None:
        """Warn the user once for all processes."""
        if self.fabric.is_global_zero:
            print(f"warning: {text}", file=sys.stderr)

    def state(self, step: int) -> dict[str, Any]:
        """All that the run's rest depends on."""
        return {
            "step": step,
            "corpus": corpus_digest(self.corpus),
            "guard": self.guard.state(),
            **self.learner.state(),
        }

    def take_over(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        if state["corpus"] != corpus_digest(self.corpus):
            raise RunError(
                f"run {self.run.path}: was begun on other videos than {self.corpus.root}; resume on the same"
            )
        self.guard.load(state["guard"])
        self.learner.load(state)

    def save(self, done: int) -> None:
        """Keep the state in memory, to go back to, and on the disk, to continue from."""
        self.good = pack(self.state(done))
        if self.fabric.is_global_zero:
            self.checkpoints.save(done, self.mean_quality(), self.good)

    def mean_quality(self) -> float:
        """Alignment plus uniformity of the steps since it was last asked for; infinite without any."""
        mean = (self.quality / self.measured).item() if self.measured else float("inf")
        self.quality.zero_()
        self.measured = 0
        return mean


def set_learning_rate(learner: Learner, factor: float, step: int) -> None:
    """Linear warm-up, then cosine decay to zero, as a function of the step and the guard's factor alone."""
    config, sampler = learner.config.optim, learner.sampler
    scale = cosine_warmup_schedule(
        step=step,
        max_steps=sampler.total_steps,
        start_value=1.0,
        end_value=0.0,
        warmup_steps=min(round(config.warmup_epochs * sampler.steps_per_epoch), sampler.total_steps // 2),
        warmup_start_value=0.0,
    )
    for group in learner.optimizer.param_groups:
        group["lr"] = factor * config.lr * scale


def corpus_digest(corpus: Corpus) -> str:
    """A hash of which videos a corpus holds, in which order."""
    entries = "\n".join(f"{video.video_id} {video.start_s} {video.end_s}" for video in corpus.videos)
    return hashlib.sha256(entries.encode()).hexdigest()


def finish(training: Training) -> None:
    """Write what a reader wants, the weights last."""
    run, corpus, checkpoints = training.run, training.corpus, training.checkpoints
    best = checkpoints.best() if run.config.checkpoint.final == "best" else None
    if best and quality_of(best) < training.mean_quality():
        training.learner.load(unpack(best.read_bytes()))
    encoder = training.learner.inner.encoder
    weights = encoder.state_dict()
    mark = fingerprint(weights, run.config.encoder, run.config.slice)
    log = [line for line in run.log() if "loss" in line]
    if not log:
        raise RunError(f"run {run.path}: no step could be taken; quarantine.json and events.jsonl say why")
    metrics = {
        "fingerprint": mark,
        "videos": len(corpus),
        "unreadable": len(training.quarantine.failures),
        "steps": training.sampler.total_steps,
        "parameters": sum(weight.numel() for weight in encoder.parameters()),
        "loss": log[-1]["loss"],
        "clips_per_s": sum(line["clips_per_s"] for line in log) / len(log),
        "wait": sum(line["wait"] for line in log) / len(log),
    }
    write_json(run.path / "metrics.json", metrics)
    write_text(run.path / "README.md", model_card(run.config, corpus, metrics))
    run.save_weights(weights, mark)
    checkpoints.drop()
    shutil.rmtree(run.path / "cache", ignore_errors=True)
