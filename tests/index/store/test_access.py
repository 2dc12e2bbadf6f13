"""Files that are whole but cannot be read now: no memory, no permission, too many open files."""

import pytest

from sora_video.index.library import Library

FILES = [
    "manifest.json",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in (
            "segments/000001.vectors.faiss",
            "segments/000001.slices.sqlite",
            "attributes/000002.json",
        )
    ),
]
ATTEMPT = """
import resource
from sora_video.base.errors import LibraryError
os.chdir(sys.argv[1])
def attempt(act):
    try:
        act()
    except LibraryError as error:
        print(error)
def drop_all():
    opened = Library.open(".")
    opened.repair(drop=opened.damage)
"""
FORBIDDEN = """
os.chmod(sys.argv[2], 0)
if os.geteuid() == 0:
    os.seteuid(65534)
attempt(lambda: Library.open("."))
attempt(drop_all)
"""
LIMITED = """
library = Library.open(".")
size = Path("segments/000001.vectors.faiss").stat().st_size
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limits = {"RLIMIT_AS": held + size // 2, "RLIMIT_NOFILE": len(os.listdir("/proc/self/fd")) - 1}
kind = getattr(resource, sys.argv[2])
before = resource.getrlimit(kind)
resource.setrlimit(kind, (limits[sys.argv[2]], before[1]))
attempt(lambda: Library.open("."))
resource.setrlimit(kind, before)
print(len(Library.open(".").damage))
"""


@pytest.fixture
def library(tmp_path, make_embeddings, random_vectors):
    """One segment of 2 MB of vectors, and edited attributes."""
    made = Library.create(tmp_path / "library", "f" * 64, 512)
    made.add(make_embeddings({"a.mp4": random_vectors(0, 1000, 512)}))
    made.set_attributes({"a.mp4": {"camera": 1}})
    return made


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_may_not_be_read_is_no_damage(library, script, name):
    for path in (library.path, library.path / "segments", library.path / "attributes"):
        path.chmod(0o777)
    output, errors = script(ATTEMPT + FORBIDDEN, library.path, name).communicate()
    assert errors == ""
    assert (
        output == f"{name}: cannot be read: Permission denied; allow reading it with `chmod` or `chown`\n" * 2
    )
    (library.path / name).chmod(0o644)
    assert Library.open(library.path).verify().damage == ()


@pytest.mark.parametrize(
    ("limit", "refusal"),
    [
        ("RLIMIT_AS", "Cannot allocate memory; free memory, or raise its limit, see `ulimit -v`"),
        ("RLIMIT_NOFILE", "Too many open files; raise the limit of open files, see `ulimit -n`"),
    ],
)
def test_a_limit_is_no_damage(library, script, limit, refusal):
    output, errors = script(ATTEMPT + LIMITED, library.path, limit).communicate()
    assert errors == ""
    line, damage = output.splitlines()
    assert line.endswith(f": cannot be read: {refusal}")
    assert damage == "0"
