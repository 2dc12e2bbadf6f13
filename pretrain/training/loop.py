"""The training loop, from corpus to finished run folder."""

import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from sora_video.base.errors import RunError
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.cache import FrameCache
from sora_video.pretrain.video.corpus import Corpus, Source, open_corpus
from sora_video.pretrain.video.quarantine import Quarantine

from .batch import Batch
from .learner import Learner, StepReport
from .loader import train_loader
from .meter import Meter
from .ranks import Common, confer, make_fabric, on_first
from .run.checkpoint import Checkpoints, corpus_digest, pack, quality_of, unpack
from .run.finish import Ending, finish
from .run.folder import Run
from .run.guard import COLLAPSED, Guard
from .run.monitor import make_monitor
from .run.tracking import BarTracker, JsonlTracker, Tracker, Trackers, WandbTracker
from .run.views import draw_views
from .sampler import EpochSampler
from .schedule import set_learning_rate
from .signals import StopSignal
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
        source: the corpus, see :func:`sora_video.pretrain.video.corpus.open_corpus`.
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
        self.monitor = on_first(self.fabric, lambda: make_monitor(config, self.fabric.device, warn))
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
        self.batches = on_device(iter(loader), self.fabric.device)

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
            BarTracker(self.sampler.total_steps),
        ]
        if self.config.tracking.wandb:
            trackers.append(WandbTracker(self.config, out))
        self.tracker, self.events = Trackers(trackers), JsonlTracker(out / "events.jsonl", first)

    def complete(self) -> None:
        """Take every step that is left and finish the run."""
        with closing(self.batches), closing(self.tracker), closing(self.events):
            try:
                with self.stop.watched():
                    self.steps()
                self.guard.check_end()
            finally:
                if self.fabric.is_global_zero:
                    self.quarantine.write(self.run.path / "quarantine.json")
            if self.fabric.is_global_zero:
                finish(self.ending(), self.monitor, self.tracker)
                self.checkpoints.drop()
        self.fabric.barrier()

    def ending(self) -> Ending:
        """What the run ends with: its last weights, or the best where they are asked for."""
        restored = self.restore_best()
        return Ending(
            run=self.run,
            corpus=self.corpus,
            encoder=self.learner.inner.encoder,
            look=None if restored or self.monitor is None else self.monitor.last,
            steps=self.sampler.total_steps,
            unreadable=len(self.quarantine.failures),
        )

    def restore_best(self) -> bool:
        """Go back to the best state where that is asked for and better than the last; say whether."""
        best = self.checkpoints.best() if self.config.checkpoint.final == "best" else None
        if best is None or quality_of(best) >= self.mean_quality():
            return False
        self.learner.load(unpack(best.read_bytes()))
        return True

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
                if step == 0 and self.fabric.is_global_zero:
                    self.show_views(batch, meter)
            done, last = step + 1, step + 1 == self.sampler.total_steps
            look = self.monitor is not None and self.monitor.due(done, self.sampler)
            if done % self.config.tracking.every == 0 or last or look:
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
        with meter.paused():
            seen = self.look(done)
        rate = self.learner.optimizer.param_groups[0]["lr"]
        metrics = {"epoch": done / self.sampler.steps_per_epoch, "lr": rate, **meter.read(), **seen}
        self.tracker.log(done, metrics)
        if metrics.get("std", 1.0) < COLLAPSED:
            self.events.log(done, {"event": "collapse", "std": metrics["std"]})
            self.say(
                f"step {done}: embeddings are all nearly alike (std {metrics['std']:.3f}, normal is near 1); "
                "lower optim.lr, or raise loss.temperature or optim.batch_size"
            )

    def look(self, done: int) -> dict[str, float]:
        """How the monitor's set looks to the encoder, when that is due."""
        if self.monitor is None or not self.monitor.due(done, self.sampler):
            return {}
        look = self.monitor.look(self.learner.inner.encoder)
        return {"knn": look.knn} if look else {}

    def show_views(self, batch: Batch, meter: Meter) -> None:
        """Draw what the network saw of the run's first batch."""
        path = self.run.path / "views.png"
        with meter.paused():
            draw_views(batch, self.config.augment.size, self.learner.dtype, path)
            self.tracker.picture(0, "views", path)

    def say(self, text: str) -> None:
        """Warn the user once for all processes."""
        if self.fabric.is_global_zero:
            warn(text)

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
        try:
            self.guard.load(state["guard"])
            self.learner.load(state)
        except (KeyError, RuntimeError, ValueError) as error:
            raise RunError(
                f"run {self.run.path}: its state is one of another version of sora-video; "
                "finish it with that, or train anew"
            ) from error

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


def warn(text: str) -> None:
    """Tell the user what is not as it should be."""
    print(f"warning: {text}", file=sys.stderr)
