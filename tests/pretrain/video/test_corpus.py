import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sora_video.base.errors import CorpusError, VideoError
from sora_video.pretrain.video.corpus import open_corpus
from sora_video.pretrain.video.inspect import inspect


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder of empty files named like videos, and some that are not."""
    for name in ("a.mp4", "sub dir/b.MOV", "sub dir/deep/c.webm", "日本/ü.Mkv", "notes.txt", "sub dir/d.jpg"):
        (tmp_path / "corpus" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / name).touch()
    (tmp_path / "corpus" / "folder.mp4").mkdir()
    return tmp_path / "corpus"


def ids(source, **options):
    return [video.video_id for video in open_corpus(source, **options).videos]


def refusal(source, **options):
    """The one-line message with which a corpus is refused."""
    with pytest.raises(CorpusError) as caught:
        open_corpus(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def manifest(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_a_folder_is_searched_to_any_depth_in_sorted_order(tree):
    assert ids(tree) == ["a.mp4", "sub dir/b.MOV", "sub dir/deep/c.webm", "日本/ü.Mkv"]
    assert ids(str(tree)) == ids(tree)
    assert all(video.path.is_file() for video in open_corpus(tree).videos)


def test_a_glob_has_its_fixed_part_as_root(tree):
    assert ids(f"{tree}/*/*.MOV") == ["sub dir/b.MOV"]
    assert ids(f"{tree}/**/*.webm") == ["sub dir/deep/c.webm"]
    assert ids(f"{tree}/sub dir/*/*") == ["deep/c.webm"]


def test_a_glob_may_be_relative(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert ids("*.mp4") == ["a.mp4"]
    assert ids("sub*/*.MOV") == ["sub dir/b.MOV"]


def test_one_file_and_a_list_of_files(tree):
    assert ids(tree / "a.mp4") == ["a.mp4"]
    corpus = open_corpus([str(tree / "日本/ü.Mkv"), tree / "a.mp4"])
    assert [video.video_id for video in corpus.videos] == ["日本/ü.Mkv", "a.mp4"]
    assert corpus.root == tree


def test_a_file_whose_name_looks_like_a_glob(tree):
    (tree / "take [1].mp4").touch()
    assert ids(tree / "take [1].mp4") == ["take [1].mp4"]


def test_class_folders_become_labels(tmp_path):
    for name in ("run/1.mp4", "run/more/2.mp4", "walk/1.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    labels = [video.columns["label"] for video in open_corpus(tmp_path, class_folders=True).videos]
    assert labels == ["run", "run", "walk"]


def test_class_folders_refuse_a_video_outside_them(tree):
    assert f"a.mp4 is not in a class folder; expected {tree}/CLASS/VIDEO" in refusal(tree, class_folders=True)


def test_a_csv_manifest_is_relative_to_itself_and_keeps_its_order(tree):
    text = (
        "path,label,start_s,end_s,camera\n"
        "sub dir/b.MOV,run,1.5,4,\n"
        "a.mp4,,,,left\n"
        '"sub dir/b.MOV",walk,4,,right\n'
    )
    corpus = open_corpus(manifest(tree / "list.csv", text))
    first, second, third = corpus.videos
    assert (first.video_id, first.start_s, first.end_s) == ("sub dir/b.MOV", 1.5, 4.0)
    assert first.columns == {"label": "run"}
    assert (second.start_s, second.end_s, second.columns) == (0.0, None, {"camera": "left"})
    assert (third.start_s, third.end_s) == (4.0, None)
    assert third.columns == {"label": "walk", "camera": "right"}
    assert corpus.root == tree


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_csv_manifest_may_begin_with_a_byte_order_mark(tree, encoding):
    assert ids(manifest(tree / "list.CSV", "path,label\r\n日本/ü.Mkv,x\r\n", encoding)) == ["日本/ü.Mkv"]


def test_a_parquet_manifest_reads_like_csv(tree):
    table = pa.table({"path": ["a.mp4", "sub dir/b.MOV"], "end_s": [None, 2.5], "label": [3, None]})
    pq.write_table(table, tree / "list.parquet")
    first, second = open_corpus(tree / "list.parquet").videos
    assert (first.video_id, first.end_s, first.columns) == ("a.mp4", None, {"label": "3"})
    assert (second.path, second.end_s, second.columns) == (tree / "sub dir/b.MOV", 2.5, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path,label\n", "has no rows; add one row per video"),
        ("", "has no rows; add one row per video"),
        (
            "file,label\na.mp4,x\n",
            "has no column 'path', only file, label; the first line names the columns",
        ),
        ("path,label\na.mp4,x\n,y\n", "line 3: path is empty; name a file or drop the row"),
        (
            "path,start_s\na.mp4,soon\n",
            "line 2: start_s='soon' is not a time in seconds; write 75, 1:15 or 0:01:15",
        ),
        ("path,end_s\na.mp4,-2\n", "line 2: end_s='-2' is not a time in seconds; write 75, 1:15 or 0:01:15"),
        ("path,end_s\na.mp4,inf\n", "line 2: end_s='inf' is not a time in seconds"),
        ("path,end_s\na.mp4,nan\n", "line 2: end_s='nan' is not a time in seconds"),
        ("path,start_s,end_s\na.mp4,3,2\n", "line 2: end_s=2 must be after start_s=3; fix the row"),
    ],
)
def test_a_bad_manifest_is_named_with_line_and_remedy(tmp_path, text, expected):
    path = manifest(tmp_path / "list.csv", text)
    message = refusal(path)
    assert message.startswith(f"manifest {path}")
    assert expected in message


def test_a_manifest_of_other_bytes_is_refused(tmp_path):
    (tmp_path / "list.csv").write_bytes(b"path\n\xff\xfe\x81\n")
    (tmp_path / "list.parquet").write_bytes(b"PAR1 and more")
    for name in ("list.csv", "list.parquet"):
        assert f"manifest {tmp_path / name}: cannot be read" in refusal(tmp_path / name)


def test_places_without_videos_are_named_with_a_remedy(tmp_path):
    (tmp_path / "empty").mkdir()
    assert f"{tmp_path / 'empty'}: holds no video; looked for" in refusal(tmp_path / "empty")
    assert "no such file or folder; check the path" in refusal(tmp_path / "gone")
    assert "the pattern matches no file; try it with ls" in refusal(f"{tmp_path}/*.mp4")
    assert "no such file; check the path" in refusal(tmp_path / "gone.csv")
    assert "the list of videos is empty; name at least one" in refusal([])


def test_class_folders_label_lists_and_open_corpora_alike(tmp_path):
    for name in ("a/1.mp4", "b/2.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    for source in (tmp_path, [tmp_path / "a/1.mp4", tmp_path / "b/2.mp4"], open_corpus(tmp_path)):
        videos = open_corpus(source, class_folders=True).videos
        assert [video.columns["label"] for video in videos] == ["a", "b"]


def test_linked_folders_are_searched_once_and_hidden_files_left_out(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far/a.mp4").touch()
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/linked").symlink_to(tmp_path / "far")
    (tmp_path / "far/loop").symlink_to(tmp_path / "corpus")
    (tmp_path / "corpus/._a.mp4").touch()
    (tmp_path / "corpus/b.mp4").touch()
    assert [video.video_id for video in open_corpus(tmp_path / "corpus").videos] == ["b.mp4", "linked/a.mp4"]


def test_names_that_are_not_utf8_can_be_printed_and_say_why_they_are_left_out(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    path.write_bytes(b"anything")
    video = open_corpus(tmp_path).videos[0]
    assert video.video_id == "caf\\xe9.mp4"
    with pytest.raises(VideoError, match="not UTF-8; rename it"):
        inspect(video.path)
