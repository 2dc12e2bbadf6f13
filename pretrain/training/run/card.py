"""The model card of a run."""

from collections.abc import Mapping
from typing import Any

from sora_video.configs.augment import AugmentConfig
from sora_video.configs.loader import dump_config
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.sections import SliceConfig
from sora_video.pretrain.encoders.export.card import whitening_row
from sora_video.pretrain.video.corpus import Corpus

__all__ = ["model_card"]


def model_card(config: PretrainConfig, corpus: Corpus, metrics: Mapping[str, Any]) -> str:
    """A model card as Markdown: what the model is, what it was trained on, and what it must not be taken for.

    Args:
        config: all settings of the run.
        corpus: what it was trained on.
        metrics: the run in numbers, as metrics.json has them.
    """
    slices = config.slice
    return f"""# {config.encoder.name} on {corpus.root.resolve().name}

A slice encoder pretrained {"with texts" if "texts" in metrics else "without labels"} by sora-video.

| | |
|---|---|
| encoder | {config.encoder.name}, input {config.encoder.input}, {metrics["parameters"]:,} parameters |
| slice | {slices.frames} frames at {slices.fps:g} a second ({slices.length_s:g} s), {picture(slices)} |
| objective | {objective(config)} |
{whitening_row(config)}{views(config.augment)}{tasks(config)}{started_from(config)}{texts(config, metrics)}\
| corpus | {metrics["videos"]} videos, {metrics["unreadable"]} unreadable |
| training | {config.optim.epochs} epochs, {metrics["steps"]} steps{early(metrics)}, seed {config.seed} |
| final loss | {metrics["loss"]:.4f} |
| fingerprint | `{metrics["fingerprint"]}` |

Embed with `sora embed CORPUS --model THIS_FOLDER --out FILE.parquet`.

It knows what its corpus shows and no more: measure it on your own data with `sora probe` before you rely on
it. Embeddings of another fingerprint are not comparable with its own.

```yaml
{dump_config(config).strip()}
```
"""


def early(metrics: Mapping[str, Any]) -> str:
    """That the run was finished early, where it was."""
    return f" of {metrics['planned_steps']}, finished early" if "planned_steps" in metrics else ""


def objective(config: PretrainConfig) -> str:
    """The method, what it compares of a video, and its temperature where it has one."""
    named = f"{config.method.name}, {rows(config.slice)}"
    return f"{named}, temperature {config.loss.temperature:g}" if config.method.negatives_needed else named


def rows(slices: SliceConfig) -> str:
    """What is compared of a video, in words."""
    views = f" in {slices.views} views each" if slices.views > 1 else ""
    return f"{slices.per_video} slices a video{views}"


def views(augment: AugmentConfig) -> str:
    """The row that says which views look like copies or are local; empty where none are."""
    copies = {
        "compressed": augment.compress,
        "covered by rectangles": augment.overlay,
        "with bars": augment.border,
        "with moving patches": augment.tubelet,
    }
    made = [f"{name} with probability {share:g}" for name, share in copies.items() if share > 0]
    if count := augment.local_views:
        frames = "all frames of a slice" if augment.local_frames is None else f"{augment.local_frames} frames"
        made.append(f"{count} local views a video, {augment.local_size} px square, of {frames}")
    return f"| views | {', '.join(made)} |\n" if made else ""


def tasks(config: PretrainConfig) -> str:
    """The row that says what was learnt beside the objective; empty where that is nothing."""
    learnt = [f"{name} (weight {task.weight:g})" for name, task in config.tasks.items() if task.weight > 0]
    return f"| beside it | {', '.join(sorted(learnt))} |\n" if learnt else ""


def started_from(config: PretrainConfig) -> str:
    """The row that says which weights the run started from; empty where they were random."""
    init = config.init
    if init is None:
        return ""
    licence = "" if init.licence is None else f"; their licence, {init.licence}, holds for this model too"
    return f"| started from | {init.spec}: {init.origin}{licence}; fingerprint `{init.fingerprint}` |\n"


def texts(config: PretrainConfig, metrics: Mapping[str, Any]) -> str:
    """The row that says what the run learnt of texts; empty where that is nothing."""
    if "texts" not in metrics:
        return ""
    seen = metrics["texts"]
    return (
        f"| texts | a text tower, {config.text.name}, {seen['parameters']:,} parameters, temperature "
        f"{seen['temperature']:.3g}; it saw {seen['different']:,} different texts of {seen['rows']:,} rows "
        f"(column {config.text.column}, weight {config.text.weight:g}) |\n"
    )


def picture(slices: SliceConfig) -> str:
    """How frames become squares, in words."""
    if slices.resize is None:
        return f"frames stretched to {slices.size} px square"
    side = f"{slices.resize} px on the short side"
    if isinstance(slices.resize, tuple):
        side = "{} x {} px".format(*slices.resize)
    return f"the middle {slices.size} px square of frames of {side}"
