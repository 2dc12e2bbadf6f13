"""The training loop, from corpus to finished run folder."""

import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sora_video.base.console import printable
from sora_video.base.errors import ConfigError, RunError, Stopped, StorageError
from sora_video.base.processes import keep_freed_memory
from sora_video.configs.loader import check_settings
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.corpus import Corpus, Source, open_corpus
from sora_video.pretrain.video.quarantine import Quarantine

from .batch import Batch
from .init import adopt, initial_weights
from .kept import KeptFeatures
from .learner import Learner, StepReport
from .loader import train_loader, video_numbers
from .meter import Meter
from .model import check_order
from .ranks import Common, confer, make_fabric, on_first
from .run.checkpoint import Checkpoints, pack, unpack
from .run.finish import Ending, attempted, finish
from .run.folder import Run
from .run.frames import drop_frames, frame_cache
from .run.guard import COLLAPSED, Guard
from .run.identity import check_identity, identity
from .run.monitor import make_monitor
from .run.noted import Noted
from .run.tracking import BarTracker, JsonlTracker, Tracker, Trackers, WandbTracker
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
    run = run if epochs is None else replace(run, config=of_length(run.config, epochs))
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
        self.run, self.corpus, self.stop, self.config = run, corpus, stop, run.config
        self.extended = extended
        config, out = run.config, run.path
        self.fabric = make_fabric(config.optim)
        self.texts = read_texts(corpus, config)
        self.monitor = on_first(self.fabric, lambda: make_monitor(config, self.fabric.device, warn))
        self.checkpoints = Checkpoints(out / "checkpoints", config.checkpoint.keep)
        self.guard = Guard(config.guard)
        state = self.checkpoints.load(self.say)
        self.identity = on_first(self.fabric, lambda: self.identify(state))
        self.sampler = EpochSampler(
            len(corpus),
            config,
            state["step"] if state else 0,
            self.fabric.global_rank,
            self.fabric.world_size,
        )
        if self.extended and self.sampler.first_step >= self.sampler.total_steps:
            raise ConfigError(
                f"optim.epochs={config.optim.epochs}: the run has taken "
                f"{self.sampler.first_step / self.sampler.steps_per_epoch:.3g} epochs; give more, or --finish"
            )
        self.cache = frame_cache(out, config, corpus)
        pin = self.fabric.device.type == "cuda"
        self.kept = KeptFeatures(corpus, config, self.cache) if config.augment.kept_views else None
        loader = (
            self.kept.batches(self.sampler, pin=pin)
            if self.kept
            else train_loader(corpus, config, self.cache, self.sampler, pin=pin)
        )
        weights = None if state else initial_weights(config)
        self.learner = Learner(config, self.fabric, self.sampler, weights, self.texts)
        self.meter = Meter(self.learner.clock, self.fabric.world_size)
        self.noted = Noted(config.checkpoint, pack(self.learner.state()), self.fabric.device)
        if state:
            self.take_over(state)
        else:
            check_order(self.learner.inner, config)
        self.quarantine = Quarantine(corpus.files, config.data.max_bad_fraction)
        self.quarantine.read(out / "quarantine.json")
        self.bar: BarTracker | None = None
        self.tracker: Tracker = Trackers([])
        self.events: Tracker = Trackers([])
        on_first(self.fabric, self.begin_folder)
        self.batches = on_device(loader, self.fabric.device)

    def identify(self, state: dict[str, Any] | None) -> dict[str, Any]:
        """The run's identity, which a resume is compared with, after a comparison with the saved one."""
        if state:
            planned = state.get("config", {}).get("optim", {}).get("epochs") if self.extended else None
            config = self.config if planned is None else of_length(self.config, planned)
            check_identity(self.run.path, state, self.corpus, config, self.texts)
        return identity(self.corpus, self.config, self.texts)

    def begin_folder(self) -> None:
        """Write what a run starts with. A run that cannot start leaves no folder."""
        new = not self.run.begun
        if self.extended and self.sampler.first_step:
            self.save(self.sampler.first_step)  # with the new number of epochs
        self.run.begin()
        self.cache.recount()
        try:
            self.tracker, self.events = self.open_trackers()
        except BaseException:
            if new:
                self.run.discard()
            raise

    def open_trackers(self) -> tuple[Tracker, Tracker]:
        """Where metrics and events go."""
        out, first = self.run.path, self.sampler.first_step
        more: list[Tracker] = [WandbTracker(self.config, out)] if self.config.tracking.wandb else []
        log = JsonlTracker(out / "log.jsonl", first)
        self.bar = BarTracker(self.sampler.total_steps, first)
        return (
            Trackers([log, self.bar, *more]),
            JsonlTracker(out / "events.jsonl", first),
        )

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
        with closing(self.batches), closing(self.tracker), closing(self.events):
            try:
                with self.stop.watched():
                    if finish:
                        self.finish_early()
                    else:
                        self.keep_features()
                        self.steps()
                self.guard.check_end()
            except BaseException:
                with suppress(StorageError):
                    self.write_quarantine()
                raise
            restored = self.restore_best()
            steps = self.sampler.first_step if finish else self.sampler.total_steps
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
        finish(ending, self.monitor, self.tracker, warn)
        self.checkpoints.drop()

    def restore_best(self) -> bool:
        """Go back to the best state if that is asked for and better than the last; return whether it was."""
        best = self.noted.better_than_now()
        if best is None:
            return False
        self.learner.load(unpack(best))
        return True

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
            if self.noted.due(done):
                self.noted.note(pack(self.learner.state()))
            if self.log_due(done) or last:
                on_first(self.fabric, partial(self.log, done))
                self.meter.reset()
            elif self.bar:
                self.bar.log(done, self.meter.glance()) if self.bar.is_empty else self.bar.step(done)
            if (common.stop or common.save) and not last:
                on_first(self.fabric, partial(self.save, done))
                saved = time.monotonic()
            if common.stop and not last:
                raise self.stopped(done, common.stop)

    def take(self, step: int, batch: Batch, common: Common) -> None:
        """Take one step, or skip it where its loss or gradient is not finite."""
        set_learning_rate(self.learner, self.guard.lr_scale, step)
        report = self.learner.step(batch, common, step)
        if report.culprits is None:
            self.guard.taken()
            self.meter.add(batch, report.metrics)
            self.noted.measure(report.metrics)
        else:
            self.skip(step + 1, report)
        if step == 0 and not self.kept:
            on_first(self.fabric, lambda: self.show_views(batch))

    def skip(self, done: int, report: StepReport) -> None:
        """Note a step that was not taken; go back to an earlier state after too many of them."""
        on_first(self.fabric, lambda: self.events.log(done, self.skipped(report)))
        if self.guard.skipped():
            self.learner.load(unpack(self.noted.last))
            event = {"event": "rollback", "lr_scale": self.guard.lr_scale}
            on_first(self.fabric, lambda: self.events.log(done, event))
            self.say(f"step {done}: went back to an earlier state; learning rate x {self.guard.lr_scale:g}")

    def skipped(self, report: StepReport) -> dict[str, Any]:
        """The entry in events.jsonl of a step that was not taken."""
        ids = (video.video_id for video in self.corpus.videos)
        names = dict(zip(video_numbers(self.corpus, self.config), ids, strict=True))
        record = {name: repr(report.metrics[name].item()) for name in ("loss", "gradient")}
        videos = [names[number] for number in report.culprits or ()]
        return {"event": "skipped", **record, "videos": videos}

    def log_due(self, done: int) -> bool:
        """Whether to write a line after so many steps; the same in all processes."""
        every = self.config.tracking.monitor_every * self.sampler.steps_per_epoch
        look = self.config.tracking.monitor is not None and done % every == 0
        return done % self.config.tracking.every == 0 or look

    def log(self, done: int) -> None:
        """Write a line of metrics, and warn of a collapse; for the first process."""
        self.run.check_there()
        with self.meter.paused():
            seen = self.look(done)
        rate = max(group["lr"] for group in self.learner.optimizer.param_groups)
        metrics = {"epoch": done / self.sampler.steps_per_epoch, "lr": rate, **self.meter.read(), **seen}
        self.tracker.log(done, metrics)
        if metrics.get("std", 1.0) < COLLAPSED:
            self.events.log(done, {"event": "collapse", "std": metrics["std"]})
            self.say(
                f"step {done}: embeddings are nearly all equal (std {metrics['std']:.3f}, normal is near 1); "
                f"lower optim.lr, or raise {self.config.method.against_collapse}"
            )

    def look(self, done: int) -> dict[str, float]:
        """The monitor's metrics, when they are due."""
        if self.monitor is None or not self.monitor.due(done, self.sampler):
            return {}
        look = self.monitor.look(self.learner.inner.encoder)
        return {"knn": look.knn} if look else {}

    def show_views(self, batch: Batch) -> None:
        """Draw what the network saw of the run's first batch."""
        path = self.run.path / "views.png"
        with self.meter.paused(), attempted(path, warn):
            draw_views(batch, self.config.augment, self.learner.projector.dtype, path)
            self.tracker.picture(0, "views", path)

    def say(self, text: str) -> None:
        """Warn the user once for all processes."""
        if self.fabric.is_global_zero:
            warn(text)

    def take_over(self, state: dict[str, Any]) -> None:
        """Continue from a saved state; those of version 0.1.0 have neither noted states nor a meter."""
        try:
            self.guard.load(state["guard"])
            self.learner.load(state)
            if "noted" in state:
                self.noted.load(state["noted"])
                self.meter.load(state["meter"])
            else:
                self.noted.note(pack(self.learner.state()))
        except (KeyError, RuntimeError, ValueError) as error:
            raise RunError(
                f"run {self.run.path}: its state is from another version of sora-video; "
                "finish the run with that version, or train again"
            ) from error

    def save(self, done: int) -> None:
        """Save all that the rest of the run depends on; for the first process."""
        self.run.check_there()
        state = {
            "step": done,
            **(self.identity or {}),
            "guard": self.guard.state(),
            "noted": self.noted.state(),
            "meter": self.meter.state(),
            **self.learner.state(),
        }
        self.checkpoints.save(done, pack(state))

    def stopped(self, done: int, stop: Stop) -> Stopped:
        """The exception for a run that was asked to stop."""
        return Stopped(
            f"run {self.run.path}: stopped after step {done}; continue it with --resume", stop.exit_code
        )


def warn(text: str) -> None:
    """Print a warning on standard error."""
    print(printable(f"warning: {text}"), file=sys.stderr)
