"""Lists on a disk without space for them."""

FULL = """
import resource
from sora_video.base.errors import StorageError
from sora_video.index.tune.approximate import Builder
path, limit = Path(sys.argv[1]), int(sys.argv[2])
library = Library.create(path / "library", "f" * 64, 8)
vectors = np.random.default_rng(0).normal(size=(4000, 8)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
times = np.arange(4000.0)
library.add(Embeddings(video_id=np.full(4000, "a", object), slice_no=np.arange(4000, dtype=np.int32),
    start_s=times, end_s=times + 1, vectors=vectors, fingerprint="f" * 64))
builder = Builder(library._snapshot.segments[0], 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    builder.build_on_disk("IVF4,Flat", path / "lists.ivfdata", 1000)
except StorageError as error:
    print(error)
"""


def test_lists_without_space_are_an_error(tmp_path, script):
    for limit in (10_000, 100_000):  # for the parts, and for the whole of 160,000 bytes
        (tmp_path / str(limit)).mkdir()
        output, errors = script(FULL, tmp_path / str(limit), limit).communicate()
        assert errors == ""
        assert output.startswith(f"cannot write {tmp_path / str(limit) / 'lists.ivfdata'}: ")
        assert len(output.splitlines()) == 1
