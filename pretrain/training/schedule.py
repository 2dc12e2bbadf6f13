"""The learning rate over a run."""

from lightly.utils.scheduler import cosine_warmup_schedule

from .learner import Learner

__all__ = ["set_learning_rate"]


def set_learning_rate(learner: Learner, factor: float, step: int) -> None:
    """Set the learning rate of a step: linear warm-up, then cosine decay to zero.

    It is a function of the step and the guard's factor alone.

    Args:
        learner: whose optimiser is set.
        factor: the guard's, on every learning rate.
        step: which step, from 0.
    """
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
        # states of version 0.1.0 have no scale
        group["lr"] = factor * config.lr * scale * group.get("scale", 1.0)
