"""Self-supervised contrastive pretraining for video: an encoder, a searchable library and a probe.

The names below are the public API; they are imported when first used, so that ``import sora_video`` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sora_video.base.errors import SoraError
    from sora_video.configs.loader import load_config
    from sora_video.configs.schema import PretrainConfig
    from sora_video.downstream.classify.predict import classify_videos
    from sora_video.downstream.classify.train import train_classifier
    from sora_video.downstream.datasets.registry import open_dataset
    from sora_video.downstream.explain.explain import explain_video, write_explanation
    from sora_video.downstream.explain.summary import summarize_video
    from sora_video.downstream.probe.probe import linear_probe
    from sora_video.index.duplicates import find_duplicates
    from sora_video.index.example import Example, query_by_example
    from sora_video.index.libraries import Libraries
    from sora_video.index.library import Library
    from sora_video.index.localize import localize
    from sora_video.index.map import map_library
    from sora_video.index.merge import merge_libraries
    from sora_video.index.migrate import migrate_library
    from sora_video.index.milvus.pull import pull_library
    from sora_video.index.milvus.push import push_library
    from sora_video.index.opening import open_library, open_store
    from sora_video.index.query import Query
    from sora_video.index.several import query_by_examples
    from sora_video.index.store.filters import Condition, Where
    from sora_video.pretrain.encoders.embeddings import Embeddings, read_embeddings, write_embeddings
    from sora_video.pretrain.encoders.export.export import export_encoder
    from sora_video.pretrain.encoders.export.whiten import whiten_encoder
    from sora_video.pretrain.encoders.frozen import VideoEncoder
    from sora_video.pretrain.encoders.load import load_encoder
    from sora_video.pretrain.training.loop import pretrain_encoder
    from sora_video.pretrain.training.loss import info_nce
    from sora_video.pretrain.video.corpus import open_corpus
    from sora_video.pretrain.video.prepare import prepare_corpus
    from sora_video.pretrain.video.scan import scan
    from sora_video.serve.client import Client

__version__ = "0.1.0"

__all__ = [
    "Client",
    "Condition",
    "Embeddings",
    "Example",
    "Libraries",
    "Library",
    "PretrainConfig",
    "Query",
    "SoraError",
    "VideoEncoder",
    "Where",
    "classify_videos",
    "explain_video",
    "export_encoder",
    "find_duplicates",
    "info_nce",
    "linear_probe",
    "load_config",
    "load_encoder",
    "localize",
    "map_library",
    "merge_libraries",
    "migrate_library",
    "open_corpus",
    "open_dataset",
    "open_library",
    "open_store",
    "prepare_corpus",
    "pretrain_encoder",
    "pull_library",
    "push_library",
    "query_by_example",
    "query_by_examples",
    "read_embeddings",
    "scan",
    "summarize_video",
    "train_classifier",
    "whiten_encoder",
    "write_embeddings",
    "write_explanation",
]

HOME = {
    "Client": "serve.client",
    "Condition": "index.store.filters",
    "Embeddings": "pretrain.encoders.embeddings",
    "Example": "index.example",
    "Libraries": "index.libraries",
    "Library": "index.library",
    "PretrainConfig": "configs.schema",
    "Query": "index.query",
    "SoraError": "base.errors",
    "VideoEncoder": "pretrain.encoders.frozen",
    "Where": "index.store.filters",
    "classify_videos": "downstream.classify.predict",
    "explain_video": "downstream.explain.explain",
    "export_encoder": "pretrain.encoders.export.export",
    "find_duplicates": "index.duplicates",
    "info_nce": "pretrain.training.loss",
    "linear_probe": "downstream.probe.probe",
    "load_config": "configs.loader",
    "load_encoder": "pretrain.encoders.load",
    "localize": "index.localize",
    "map_library": "index.map",
    "merge_libraries": "index.merge",
    "migrate_library": "index.migrate",
    "open_corpus": "pretrain.video.corpus",
    "open_dataset": "downstream.datasets.registry",
    "open_library": "index.opening",
    "open_store": "index.opening",
    "prepare_corpus": "pretrain.video.prepare",
    "pretrain_encoder": "pretrain.training.loop",
    "pull_library": "index.milvus.pull",
    "push_library": "index.milvus.push",
    "query_by_example": "index.example",
    "query_by_examples": "index.several",
    "read_embeddings": "pretrain.encoders.embeddings",
    "scan": "pretrain.video.scan",
    "summarize_video": "downstream.explain.summary",
    "train_classifier": "downstream.classify.train",
    "whiten_encoder": "pretrain.encoders.export.whiten",
    "write_embeddings": "pretrain.encoders.embeddings",
    "write_explanation": "downstream.explain.explain",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    if name not in HOME:
        raise AttributeError(f"module 'sora_video' has no attribute {name!r}")
    return getattr(import_module(f"sora_video.{HOME[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*globals(), *__all__])
