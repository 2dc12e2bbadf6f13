"""The training loop, from corpus to finished run folder."""

import time
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from sora_video.base import console
from sora_video.base.errors import ConfigError, RunError, Stopped, StorageError
from sora_video.base.processes import keep_freed_memory
from sora_video.configs.loader import check_settings
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.corpus import Corpus, Source, open_corpus
from sora_video.pretrain.video.quarantine import Quarantine

from .batch import Batch
from .init import adopt, initial_weights
from .kept import KeptFeatures
from .learner import Learner
from .loader import train_loader, video_numbers
from .meter import Meter
from .model import check_order
from .ranks import Common, confer, make_fabric, on_first
from .run.checkpoint import Checkpoints, pack
from .run.finish import Ending, attempted, finish
from .run.folder import Run
from .run.frames import drop_frames, frame_cache
from .run.identity import check_identity, identity
from .run.journal import Journal
from .run.monitor import make_monitor
from .run.recovery import Recovery
from .run.views import draw_views
from .sampler import EpochSampler
from .schedule import set_learning_rate
from .signals import Stop, StopSignal
from .texts import read_texts
from .transfer import on_device

__all__ = ["pretrain_encoder"]


def pretrain_encoder(
    source: Source,
    out: str | Path,
    config: PretrainConfig | None = None,
    *,
    init: str | Path | None = None,
    resume: bool = False,
    max_minutes: float | None = None,
    epochs: int | None = None,
    finish: bool = False,
) -> Run:
    """Learn an encoder from unlabelled video.

    Processes that torchrun or SLURM start together share every step, see :mod:`.learner`.

    Args:
        source: the corpus, see :func:`sora_video.pretrain.video.corpus.open_corpus`.
        out: the run folder to make, or to continue.
        config: all settings; None: the defaults. Ignored by a resume, which keeps its own.
        init: model spec of one encoder, whose weights, network and preprocessing the run starts from; of its
            settings, those that were given to ``config`` replace the encoder's. None: what ``config.init``
            says, a published frame model that ``config.encoder.frame`` names, or random weights. Ignored by a
            resume.
        resume: continue a run that was stopped, from its last saved step.
        max_minutes: stop, ready to be continued, after that time.
        epochs: of a resume, how many the run has in all in place of those that it was planned for. The
            learning rate follows the schedule of the new length from there on.
        finish: of a resume, whether to take no more steps, and end the run with its last saved state.

    Returns:
        The finished run.

    Raises:
        ConfigError: ``epochs`` are over already, the batch cannot be divided among the groups and processes,
            there are no such weights to start from, or a setting does not fit them, or the corpus has no
            texts to learn.
        CorpusError: there is nothing to learn from, or too many videos cannot be read.
        RunError: the run exists already, is finished already, has no saved state to be finished with, had no
            finite loss, or is continued with other videos or settings than it was started with.
        Stopped: the run was asked to stop, by a signal or a limit, and can be continued.
        StorageError: the disk is full.
    """
    corpus, out = open_corpus(source), Path(out).expanduser()
    run = Run.open(out) if resume else None
    if run and run.finished:
        raise RunError(f"run {out}: is finished already; choose another --out to train again")
    run = run or Run.new(out, started(config or PretrainConfig(), init))
    if epochs is not None:
        run = replace(run, config=of_length(run.config, epochs))
    keep_freed_memory()
    Training(run, corpus, StopSignal(max_minutes), extended=epochs is not None).complete(finish=finish)
    return run


def of_length(config: PretrainConfig, epochs: int) -> PretrainConfig:
    """The same settings with another number of epochs."""
    return config.model_copy(update={"optim": config.optim.model_copy(update={"epochs": epochs})})


def started(config: PretrainConfig, init: str | Path | None) -> PretrainConfig:
    """The settings of a run that starts from weights, if any are named."""
    given = config.model_dump(exclude_unset=True)
    adopted = adopt(given, init)
    return config if adopted == given else check_settings(PretrainConfig, adopted)


class Training:
    """All parts of one run.

    Args:
        run: the run folder; nothing is written to it before everything else is ready.
        corpus: what to learn from.
        stop: when to stop.
        extended: whether the run may have had another number of epochs before.
    """

    def __init__(self, run: Run, corpus: Corpus, stop: StopSignal, *, extended: bool = False) -> None:
        config, out = run.config, run.path
        self.run, self.corpus, self.stop, self.config, self.extended = run, corpus, stop, config, extended
        self.fabric = make_fabric(config.optim)
        self.texts = read_texts(corpus, config)
        self.monitor = on_first(self.fabric, lambda: make_monitor(config, self.fabric.device, console.warn))
        self.checkpoints = Checkpoints(out / "checkpoints", config.checkpoint.keep)
        state = self.checkpoints.load(self.warn)
        self.identity = on_first(self.fabric, lambda: self.identify(state))
        self.sampler = self.make_sampler(state["step"] if state else 0)
        self.cache = frame_cache(out, config, corpus)
        self.kept = KeptFeatures(corpus, config, self.cache) if config.augment.kept_views else None
        batches = self.read_batches()
        weights = None if state else initial_weights(config)
        self.learner = Learner(config, self.fabric, self.sampler, weights, self.texts)
        self.meter = Meter(self.learner.clock, self.fabric.world_size)
        self.recovery = Recovery(config, self.learner)
        if state:
            self.take_over(state)
        else:
            check_order(self.learner.inner, config)
        self.quarantine = Quarantine(corpus.files, config.data.max_bad_fraction)
        self.quarantine.read(out / "quarantine.json")
        self.journal = Journal(run)
        on_first(self.fabric, self.begin_folder)
        self.batches = on_device(batches, self.fabric.device)

    def identify(self, state: dict[str, Any] | None) -> dict[str, Any]:
        """The run's identity, which a resume is compared with, after a comparison with the saved one."""
        if state:
            check_identity(self.run.path, state, self.corpus, self.config, self.texts, extended=self.extended)
        return identity(self.corpus, self.config, self.texts)

    def make_sampler(self, done: int) -> EpochSampler:
        """The order of the videos from a step on."""
        rank, world = self.fabric.global_rank, self.fabric.world_size
        sampler = EpochSampler(len(self.corpus), self.config, done, rank, world)
        if self.extended and done >= sampler.total_steps:
            raise ConfigError(
                f"optim.epochs={self.config.optim.epochs}: the run has taken "
                f"{done / sampler.steps_per_epoch:.3g} epochs; give more, or --finish"
            )
        return sampler

    def read_batches(self) -> Generator[Batch, None, None]:
        """Batches in main memory, of frames or of kept features."""
        pin = self.fabric.device.type == "cuda"
        if self.kept:
            return self.kept.batches(self.sampler, pin=pin)
        return train_loader(self.corpus, self.config, self.cache, self.sampler, pin=pin)

    def take_over(self, state: dict[str, Any]) -> None:
        """Continue from a saved state; those of version 0.1.0 have no meter."""
        try:
            self.recovery.load(state)
            if "noted" in state:
                self.meter.load(state["meter"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise RunError(
                f"run {self.run.path}: its state is from another version of sora-video; "
                "finish the run with that version, or train again"
            ) from error

    def begin_folder(self) -> None:
        """Write what a run starts with. A run that cannot start leaves no folder."""
        new, done = not self.run.begun, self.sampler.first_step
        if self.extended and done:
            self.save(done)  # with the new number of epochs
        self.run.begin()
        self.cache.recount()
        try:
            self.journal.open(done, self.sampler.total_steps)
        except BaseException:
            if new:
                self.run.discard()
            raise

    def complete(self, *, finish: bool = False) -> None:
        """Take every step that is left and finish the run; with ``finish`` it is finished as it is.

        Raises:
            RunError: it is to be finished, and there is no state to end with.
        """
        try:
            self.work(finish=finish)
        finally:
            if self.fabric.is_global_zero:
                drop_frames(self.run, self.cache)

    def work(self, *, finish: bool) -> None:
        """See :meth:`complete`."""
        with closing(self.batches), closing(self.journal):
            try:
                with self.stop.watched():
                    if finish:
                        self.finish_early()
                    else:
                        self.keep_features()
                        self.steps()
                self.recovery.guard.check_end()
            except BaseException:
                with suppress(StorageError):
                    self.write_quarantine()
                raise
            restored = self.recovery.restore_best()
            steps = self.sampler.first_step if finish else self.sampler.total_steps
            if self.config.encoder.whiten:
                on_first(self.fabric, partial(self.save, steps))  # as whitening takes a while, and may fail
            on_first(self.fabric, lambda: self.end(steps, restored=restored))

    def finish_early(self) -> None:
        """Log what was measured since the last line of the log; the saved state is the run's last.

        Raises:
            RunError: there is no saved state.
        """
        done = self.sampler.first_step
        if not done:
            raise RunError(f"run {self.run.path}: has no saved state to be finished with; use --resume")
        if self.meter.taken:
            on_first(self.fabric, partial(self.log, done))

    def keep_features(self) -> None:
        """Compute the features that views are drawn from, where they are kept."""
        if self.kept:
            with self.meter.paused():
                stop = self.kept.compute(self.learner, lambda: self.stop.asked)
            if stop:
                raise self.stopped(self.sampler.first_step, stop)

    def write_quarantine(self) -> None:
        """List the videos that could not be read, in the folder if it is still there."""
        if self.fabric.is_global_zero and self.run.begun:
            self.quarantine.write(self.run.path / "quarantine.json")

    def end(self, steps: int, *, restored: bool) -> None:
        """Write what the run ends with, and delete the states that led to it."""
        self.run.check_there()
        self.write_quarantine()
        ending = Ending(
            run=self.run,
            corpus=self.corpus,
            encoder=self.learner.inner.encoder,
            look=None if restored or self.monitor is None else self.monitor.last,
            steps=steps,
            planned=self.sampler.total_steps,
            unreadable=len(self.quarantine.failures),
            texts=self.learner.texts,
        )
        finish(ending, self.monitor, self.journal)
        self.checkpoints.drop()

    def steps(self) -> None:
        """Take every step that is left; log, save and react to signals."""
        saved = time.monotonic()
        for step in range(self.sampler.first_step, self.sampler.total_steps):
            batch = self.meter.wait(self.batches)
            due = self.fabric.is_global_zero and time.monotonic() - saved > self.config.checkpoint.every_s
            common = confer(self.fabric, batch, self.sampler, stop=self.stop.asked, save=due)
            for failure in common.failures:
                self.quarantine.add(failure)
            if common.computable:
                self.take(step, batch, common)
            done, last = step + 1, step + 1 == self.sampler.total_steps
            self.recovery.note(done)
            if self.log_due(done) or last:
                on_first(self.fabric, partial(self.log, done))
                self.meter.reset()
            else:
                self.journal.step(done, self.meter)
            if (common.stop or common.save) and not last:
                on_first(self.fabric, partial(self.save, done))
                saved = time.monotonic()
            if common.stop and not last:
                raise self.stopped(done, common.stop)

    def take(self, step: int, batch: Batch, common: Common) -> None:
        """Take one step, or skip it where its loss or gradient is not finite."""
        set_learning_rate(self.learner, self.recovery.guard.lr_scale, step)
        report = self.learner.step(batch, common, step)
        if report.culprits is None:
            self.recovery.taken(report.metrics)
            self.meter.add(batch, report.metrics)
        else:
            self.skip(step + 1, report.metrics, report.culprits)
        if step == 0 and not self.kept:
            on_first(self.fabric, lambda: self.show_views(batch))

    def skip(self, done: int, metrics: dict[str, Tensor], culprits: list[int]) -> None:
        """Note a step that was not taken; go back to an earlier state after too many of them."""
        ids = (video.video_id for video in self.corpus.videos)
        names = dict(zip(video_numbers(self.corpus, self.config), ids, strict=True))
        videos = [names[number] for number in culprits]
        on_first(self.fabric, lambda: self.journal.skipped(done, metrics, videos))
        if self.recovery.skipped():
            scale = self.recovery.guard.lr_scale
            on_first(self.fabric, lambda: self.journal.went_back(done, scale))

    def log_due(self, done: int) -> bool:
        """Whether to write a line after so many steps; the same in all processes."""
        every = self.config.tracking.monitor_every * self.sampler.steps_per_epoch
        look = self.config.tracking.monitor is not None and done % every == 0
        return done % self.config.tracking.every == 0 or look

    def log(self, done: int) -> None:
        """Write a line of metrics; for the first process."""
        self.run.check_there()
        with self.meter.paused():
            seen = self.look(done)
        rate = max(group["lr"] for group in self.learner.optimizer.param_groups)
        metrics = {"epoch": done / self.sampler.steps_per_epoch, "lr": rate, **self.meter.read(), **seen}
        self.journal.log(done, metrics)

    def look(self, done: int) -> dict[str, float]:
        """The monitor's metrics, when they are due."""
        if self.monitor is None or not self.monitor.due(done, self.sampler):
            return {}
        look = self.monitor.look(self.learner.inner.encoder)
        return {"knn": look.knn} if look else {}

    def show_views(self, batch: Batch) -> None:
        """Draw what the network saw of the run's first batch."""
        path = self.run.path / "views.png"
        with self.meter.paused(), attempted(path):
            draw_views(batch, self.config.augment, self.learner.projector.dtype, path)
            self.journal.picture(0, "views", path)

    def save(self, done: int) -> None:
        """Save all that the rest of the run depends on; for the first process."""
        self.run.check_there()
        changed = {"meter": self.meter.state(), **self.recovery.state()}
        self.checkpoints.save(done, pack({"step": done, **(self.identity or {}), **changed}))

    def stopped(self, done: int, stop: Stop) -> Stopped:
        """The exception for a run that was asked to stop."""
        return Stopped(
            f"run {self.run.path}: stopped after step {done}; continue it with --resume", stop.exit_code
        )

    def warn(self, text: str) -> None:
        """Warn the user once for all processes."""
        if self.fabric.is_global_zero:
            console.warn(text)
