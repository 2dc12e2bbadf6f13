"""The base of index kinds, and their list; their files are in ``index/tune/kinds``."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import faiss
from pydantic import ValidationError

from sora_video.base.errors import ConfigError, LibraryError
from sora_video.base.registry import Registry
from sora_video.configs.parts import PartConfig

from .files import DamagedError
from .gpu import off_gpus, on_gpus
from .manifest import BuiltIndex
from .source import Source

__all__ = ["INDEXES", "RERANK", "IndexConfig", "IndexKind", "make_kind", "stored_kind"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

INDEXES = Registry(
    "index.name",
    "sora_video.indexes",
    {
        "Flat": "sora_video.index.tune.kinds.flat:Flat",
        "HNSW": "sora_video.index.tune.kinds.hnsw:HNSW",
        "IVF-Flat": "sora_video.index.tune.kinds.ivf_flat:IVFFlat",
        "IVF-SQ8": "sora_video.index.tune.kinds.ivf_sq8:IVFSQ8",
        "OPQ-IVF-PQ": "sora_video.index.tune.kinds.opq_ivf_pq:OPQIVFPQ",
    },
)
RERANK = "rerank"
"""The search parameter that says how many candidates are scored from the stored vectors for each wanted
slice."""


class IndexConfig(PartConfig):
    """Which kind of index searches a segment; each kind's subclass has its sizes."""

    registry = INDEXES

    name: str = "Flat"
    """Which kind."""


class IndexKind(ABC):
    """Base of kinds of index. A subclass sets ``settings``, and ``effort`` unless it is exact.

    Args:
        config: an instance of ``settings``.
    """

    settings: ClassVar[type[IndexConfig]] = IndexConfig
    """The model of its sizes."""
    effort: ClassVar[str] = ""
    """The search parameter that is raised for more recall; empty: it is exact and has none."""
    least_effort: ClassVar[int] = 1
    """The first value of it that tuning tries; the next ones double it."""
    rerank: ClassVar[Sequence[int]] = ()
    """Candidates that are scored from the stored vectors for each wanted slice, as tuning tries them. Empty:
    the index itself compares the stored vectors."""
    fewest_rows: ClassVar[int] = 1000
    """Fewer vectors are not worth such an index."""
    on_gpu: ClassVar[bool] = False
    """Whether FAISS can fill and search it on a GPU."""
    on_disk: ClassVar[bool] = False
    """Whether it is an inverted file, without a transform, whose lists may lie on the disk."""
    spelling: ClassVar[str] = ""
    """Pattern of the name that older manifests give it, with its settings as groups."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @property
    def name(self) -> str:
        """The name in the registry."""
        name: str = self.config.name
        return name

    @property
    def sizes(self) -> dict[str, int]:
        """Its settings, as the manifest keeps them."""
        return {key: value for key, value in self.config.model_dump().items() if key != "name"}

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.sizes.items())])

    @classmethod
    def proposals(cls, rows: int, dim: int) -> Sequence[Mapping[str, int]]:  # noqa: ARG003
        """The settings that tuning tries.

        Args:
            rows: vectors, at least ``fewest_rows``.
            dim: of the vectors.
        """
        return ({},)

    def check_sizes(self, rows: int, dim: int) -> None:  # noqa: ARG002
        """Refuse sizes that do not fit the vectors.

        Args:
            rows: vectors.
            dim: of the vectors.

        Raises:
            ValueError: one does not.
        """
        if rows < self.fewest_rows:
            raise ValueError(f"{rows} slices are too few, it takes {self.fewest_rows}")

    @abstractmethod
    def memory(self, rows: int, dim: int, stored: int) -> int:
        """Bytes that a search keeps in memory, about.

        Args:
            rows: vectors.
            dim: of the vectors.
            stored: bytes of a stored vector. They count where a search reads those of all rows; those of few
                candidates are read from the disk.
        """

    def memory_of_disk(self, dim: int) -> int:  # noqa: ARG002
        """Bytes that a search keeps in memory where the lists lie on the disk; called if ``on_disk``.

        Args:
            dim: of the vectors.

        Raises:
            TypeError: the kind sets ``on_disk`` and does not define this.
        """
        raise TypeError(f"index kind {self.name}: sets on_disk; define memory_of_disk too")

    @abstractmethod
    def trained(self, source: Source) -> Any:
        """A FAISS index, by inner product, that is ready to be filled.

        Args:
            source: the vectors.
        """

    def build(self, source: Source) -> Any:
        """Train and fill an index.

        Args:
            source: the vectors.

        Returns:
            A FAISS index whose ids are the segment's rows.
        """
        index = self.trained(source)
        return off_gpus(source.fill(on_gpus(index))) if self.on_gpu else source.fill(index)

    def most_effort(self, rows: int) -> int:
        """The value of ``effort`` from which on nothing is gained.

        Args:
            rows: vectors in the index.
        """
        return rows

    @abstractmethod
    def asked(self, effort: int, selector: Any) -> Any:
        """FAISS's search parameters.

        Args:
            effort: value of the parameter of that name; may be above :meth:`most_effort`.
            selector: rows that may be found, a FAISS IDSelector; None: all.
        """

    def check(self, index: Any) -> None:  # noqa: B027, since a kind need not have more to check
        """Refuse a FAISS index that is not of this kind, or that names rows that are not there.

        Args:
            index: as it was read; its ``ntotal``, ``d`` and metric are right.

        Raises:
            DamagedError: the index is one of these.
        """

    def attach(self, index: Any, vectors: Any) -> Any:  # noqa: ARG002
        """The index, ready to search; FAISS writes and reads graphs without their vectors.

        Args:
            index: that was checked.
            vectors: of the segment.
        """
        return index

    def check_parameters(self, parameters: Mapping[str, int]) -> None:
        """Refuse search parameters that this kind does not have.

        Args:
            parameters: of a search, by name.

        Raises:
            ValueError: the kind does not have one of them, or one is missing.
        """
        needed = {self.effort} - {""}
        if not needed <= parameters.keys() <= needed | {RERANK}:
            raise ValueError(f"parameters={dict(parameters)}: are not those of {self.name}")


def make_kind(name: str | None = None, **settings: Any) -> IndexKind:
    """A kind of index by its name.

    Args:
        name: one of :data:`INDEXES`; None: exact search.
        settings: its sizes.

    Raises:
        ConfigError: no kind has this name.
        ValueError: the kind does not have one of the settings, or a value is out of range.
    """
    config = IndexConfig.resolve({**settings, **({} if name is None else {"name": name})})
    kind: IndexKind = INDEXES.load(config.name)(config)
    return kind


def stored_kind(segment: str, built: BuiltIndex) -> IndexKind:
    """The kind of a segment's index.

    Args:
        segment: its name, for messages.
        built: the index in the manifest.

    Raises:
        LibraryError: no kind has this name, or the kind does not have these settings or search parameters.
    """
    try:
        name, sizes = modern(built)
        kind = make_kind(name, **sizes)
        kind.check_parameters(built.parameters)
    except ConfigError as error:
        raise LibraryError(f"segment {segment}: {error}; or install the package that adds it") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise LibraryError(
            f"segment {segment}: index.{key}: {first['msg']}; restore the manifest from a copy"
        ) from error
    except ValueError as error:
        raise LibraryError(f"segment {segment}: {error}; restore the manifest from a copy") from error
    return kind


def modern(built: BuiltIndex) -> tuple[str, Mapping[str, Any]]:
    """Name and settings of an index; older manifests have both in one word, as FAISS's factory takes it."""
    if built.kind not in INDEXES.homes:
        for name in INDEXES.homes:
            match = re.fullmatch(INDEXES.load(name).spelling, built.kind, re.ASCII)
            if match:
                return name, {key: int(digits) for key, digits in match.groupdict().items()}
    return built.kind, built.settings


def refuse_kind(kind: IndexKind) -> DamagedError:
    """The error for a file that holds an index of another kind."""
    return DamagedError(f"is damaged: it holds no index of the kind {kind}")
