"""Tasks that are learnt beside the contrastive objective: their list, and the ``tasks`` section."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError
from pydantic_core import InitErrorDetails

from sora_video.base.registry import Registry

from .nested import refusal, split
from .section import Section

__all__ = ["TASKS", "TaskConfig", "resolve_tasks"]

TASKS = Registry(
    "tasks",
    "sora_video.tasks",
    {
        "rate": "sora_video.pretrain.training.tasks.rate:Rate",
        "order": "sora_video.pretrain.training.tasks.order:Order",
        "local": "sora_video.pretrain.training.tasks.local:Local",
    },
)


class TaskConfig(Section):
    """An objective that is learnt beside the contrastive one; a subclass has the settings of one task."""

    weight: Annotated[float, Field(ge=0)] = 1.0
    """Of its loss, beside the contrastive one; 0: it is not learnt."""


def resolve_tasks(values: Any) -> Any:
    """Check the ``tasks`` section, each task by its own model.

    Args:
        values: settings by the task's name; anything else than a mapping is returned as it is.

    Returns:
        By name, an instance of the task's model.

    Raises:
        ConfigError: no task has this name.
        ValueError: the task has no such setting, or its value is wrong.
    """
    if not isinstance(values, Mapping):
        return values
    return {str(name): resolve_task(str(name), settings) for name, settings in values.items()}


def resolve_task(name: str, values: Any) -> TaskConfig:
    """The settings of one task."""
    if isinstance(values, TaskConfig):
        return values
    model: type[TaskConfig] = TASKS.load(name).settings
    if not isinstance(values, Mapping):
        raise ValueError(
            f"tasks.{name}={values!r}: must be a section of settings, as in tasks.{name}.weight=1"
        )
    settings, unused = split(values, model, {})
    if unused:
        raise ValueError(refusal(f"tasks.{name}", name, unused, model))
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        faults = [
            InitErrorDetails(
                type=fault["type"], loc=(name, *fault["loc"]), input=fault["input"], ctx=fault.get("ctx", {})
            )
            for fault in error.errors()
        ]
        raise ValidationError.from_exception_data("tasks", faults) from None
