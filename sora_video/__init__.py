"""Self-supervised contrastive pretraining for video: an encoder, a searchable library and a probe.

The names below are the public API; they are imported when first used, so that ``import sora_video`` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sora_video.configs.errors import SoraError
    from sora_video.configs.loader import load_config
    from sora_video.configs.schema import PretrainConfig
    from sora_video.downstream.classify.predict import classify_videos
    from sora_video.downstream.classify.train import train_classifier
    from sora_video.downstream.datasets.registry import open_dataset
    from sora_video.downstream.explain import explain_video, write_explanation
    from sora_video.downstream.probe import linear_probe
    from sora_video.downstream.summary import summarize_video
    from sora_video.index.duplicates import find_duplicates
    from sora_video.index.library import Library
    from sora_video.index.localize import localize
    from sora_video.index.where import Where
    from sora_video.pretrain.corpus import open_corpus
    from sora_video.pretrain.embed import VideoEncoder, load_encoder
    from sora_video.pretrain.embeddings import Embeddings, read_embeddings, write_embeddings
    from sora_video.pretrain.loop import pretrain_encoder
    from sora_video.pretrain.loss import info_nce
    from sora_video.pretrain.prepare import prepare_corpus
    from sora_video.pretrain.scan import scan

__version__ = "0.1.0"

__all__ = [
    "Embeddings",
    "Library",
    "PretrainConfig",
    "SoraError",
    "VideoEncoder",
    "Where",
    "classify_videos",
    "explain_video",
    "find_duplicates",
    "info_nce",
    "linear_probe",
    "load_config",
    "load_encoder",
    "localize",
    "open_corpus",
    "open_dataset",
    "prepare_corpus",
    "pretrain_encoder",
    "read_embeddings",
    "scan",
    "summarize_video",
    "train_classifier",
    "write_embeddings",
    "write_explanation",
]

HOME = {
    "Embeddings": "pretrain.embeddings",
    "Library": "index.library",
    "PretrainConfig": "configs.schema",
    "SoraError": "configs.errors",
    "VideoEncoder": "pretrain.embed",
    "Where": "index.where",
    "classify_videos": "downstream.classify.predict",
    "explain_video": "downstream.explain",
    "find_duplicates": "index.duplicates",
    "info_nce": "pretrain.loss",
    "linear_probe": "downstream.probe",
    "load_config": "configs.loader",
    "load_encoder": "pretrain.embed",
    "localize": "index.localize",
    "open_corpus": "pretrain.corpus",
    "open_dataset": "downstream.datasets.registry",
    "prepare_corpus": "pretrain.prepare",
    "pretrain_encoder": "pretrain.loop",
    "read_embeddings": "pretrain.embeddings",
    "scan": "pretrain.scan",
    "summarize_video": "downstream.summary",
    "train_classifier": "downstream.classify.train",
    "write_embeddings": "pretrain.embeddings",
    "write_explanation": "downstream.explain",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    if name not in HOME:
        raise AttributeError(f"module 'sora_video' has no attribute {name!r}")
    return getattr(import_module(f"sora_video.{HOME[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*globals(), *__all__])
