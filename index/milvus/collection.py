"""The two collections of a library in Milvus: its slices, and its whitenings."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sora_video.base.errors import LibraryError

from .address import Address, parse_address
from .connection import AwayError, Connection
from .state import State, read_state

__all__ = ["Collection"]

READS = 5
"""Times that a request is repeated where a push commits meanwhile."""
CHUNK = 48_000
"""Bytes of a row of whitenings; in base64 they are a text of 64 KB."""
TEXT_BYTES = 65_535
"""Longest text that a server takes."""

Answer = TypeVar("Answer")
Fields = Mapping[str, Mapping[str, Any]]
"""Options of the fields of a collection, by name."""


class Collection:
    """A library in Milvus as it was committed when it was opened, or asked last.

    Args:
        connection: to its server.
        state: what is committed.
    """

    def __init__(self, connection: Connection, state: State) -> None:
        self.connection, self.state = connection, state

    @classmethod
    def open(cls, text: str) -> "Collection":
        """Open a library.

        Args:
            text: its address.

        Raises:
            ConfigError: it is no address, or the client of Milvus is not installed.
            LibraryError: the server is away, or has no such library.
        """
        connection = Connection(parse_address(text))
        if not has_collection(connection, connection.address.collection):
            raise LibraryError(f"{connection.address}: no library there; write one with `sora index push`")
        return cls(connection, committed(connection))

    @classmethod
    def open_or_create(cls, text: str, state: State, index: str) -> "Collection":
        """Open a library, or make an empty one.

        Args:
            text: its address.
            state: of a new one.
            index: type of its index of vectors.

        Raises:
            ConfigError: it is no address, or the client of Milvus is not installed.
            LibraryError: the server is away, or what is there is no library.
        """
        connection = Connection(parse_address(text))
        if not has_collection(connection, connection.address.collection):
            create(connection, state, index)
        return cls(connection, committed(connection))

    @property
    def address(self) -> Address:
        """Where it is."""
        return self.connection.address

    @property
    def name(self) -> str:
        """Of the collection of slices."""
        return self.address.collection

    @property
    def whitenings(self) -> str:
        """Name of the collection of whitenings."""
        return whitenings_of(self.name)

    def refresh(self) -> State:
        """Look again at what is committed.

        Raises:
            LibraryError: the server is away, or another library is there now.
        """
        before, self.state = self.state, committed(self.connection)
        now, then = self.state.manifest, before.manifest
        if (now.fingerprint, now.dim) != (then.fingerprint, then.dim):
            raise LibraryError(f"{self.address}: another library was put there meanwhile; repeat the command")
        return self.state

    def read(self, ask: Callable[[State], Answer]) -> Answer:
        """Ask for something of one commit: again, where a push commits meanwhile, or the server was away.

        Args:
            ask: gets what is committed, and asks the server.

        Raises:
            LibraryError: the server is away, or pushes commit all the time.
        """
        for _ in range(READS):
            state = self.state
            try:
                answer = ask(state)
            except AwayError:
                self.refresh()  # which waits a little for a server that is back
                continue
            except LibraryError:
                if self.refresh().generation == state.generation:
                    raise
                continue
            if self.refresh().generation == state.generation:
                return answer
        raise LibraryError(f"{self.address}: is changed too often to be read; wait until its push is done")

    def commit(self, state: State) -> None:
        """Make something the library; readers see all of it from here on.

        Args:
            state: what is committed then.

        Raises:
            LibraryError: the server is away, or another push committed meanwhile.
        """
        if committed(self.connection).generation != self.state.generation:
            raise LibraryError(f"{self.address}: another push writes to it; run one at a time")
        self.connection.call("alter_collection_properties", self.name, properties=state.to_property())
        self.state = state


def whitenings_of(name: str) -> str:
    """The name of the collection of whitenings that belongs to one of slices."""
    return f"{name}_whitening"


def has_collection(connection: Connection, name: str) -> bool:
    """Whether the server has a collection."""
    return bool(connection.call("has_collection", name))


def committed(connection: Connection) -> State:
    """What is committed of a library.

    Raises:
        LibraryError: the server is away, or the collection is no library.
    """
    described: dict[str, Any] = connection.call("describe_collection", connection.address.collection)
    return read_state(described.get("properties") or {}, str(connection.address))


def create(connection: Connection, state: State, index: str) -> None:
    """Make the collections; that of slices last, since it makes the library.

    Raises:
        LibraryError: the server is away, or refused it.
    """
    name = connection.address.collection
    if has_collection(connection, whitenings_of(name)):
        connection.call("drop_collection", whitenings_of(name))
    create_collection(connection, whitenings_of(name), whitening_fields(), {"none": "FLAT"}, {})
    indexes = {"embedding": index, "video_id": "INVERTED", "slice_id": "INVERTED"}
    create_collection(connection, name, slice_fields(state.manifest.dim), indexes, state.to_property())


def whitening_fields() -> Fields:
    """The fields of a part of a whitening."""
    from pymilvus import DataType

    return {
        "key": {"datatype": DataType.VARCHAR, "max_length": 128, "is_primary": True},
        "digest": {"datatype": DataType.VARCHAR, "max_length": 64},
        "number": {"datatype": DataType.INT64},
        "text": {"datatype": DataType.VARCHAR, "max_length": TEXT_BYTES},
        "none": {"datatype": DataType.FLOAT_VECTOR, "dim": 2},  # a collection has to have vectors
    }


def slice_fields(dim: int) -> Fields:
    """The fields of a slice."""
    from pymilvus import DataType

    return {
        "row": {"datatype": DataType.INT64, "is_primary": True},
        "push": {"datatype": DataType.INT64},
        "video_id": {"datatype": DataType.VARCHAR, "max_length": TEXT_BYTES},
        "slices": {"datatype": DataType.INT64},
        "content": {"datatype": DataType.VARCHAR, "max_length": TEXT_BYTES},
        "attributes": {"datatype": DataType.JSON},
        "position": {"datatype": DataType.INT64},
        "slice_id": {"datatype": DataType.INT64},
        "slice_no": {"datatype": DataType.INT64},
        "start_s": {"datatype": DataType.DOUBLE},
        "end_s": {"datatype": DataType.DOUBLE},
        "still": {"datatype": DataType.BOOL},
        "embedding": {"datatype": DataType.FLOAT_VECTOR, "dim": dim},
    }


def create_collection(
    connection: Connection,
    name: str,
    fields: Fields,
    indexes: Mapping[str, str],
    properties: Mapping[str, str],
) -> None:
    """Make a collection with fields, and an index of some of them by its type."""
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    for field, options in fields.items():
        schema.add_field(field, **options)
    index_params = MilvusClient.prepare_index_params()
    for field, kind in indexes.items():
        metric = {"metric_type": "IP"} if fields[field]["datatype"] == DataType.FLOAT_VECTOR else {}
        index_params.add_index(field, index_type=kind, **metric)
    connection.call(
        "create_collection",
        name,
        schema=schema,
        index_params=index_params,
        properties=dict(properties),
        consistency_level="Strong",
    )
