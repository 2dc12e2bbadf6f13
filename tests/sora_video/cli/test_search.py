"""The command that chooses an index, and the queries that `sora search` takes."""

import json
import re

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from sora_video.base.errors import ConfigError, SoraError
from sora_video.cli.main import make_app
from sora_video.pretrain.encoders.embeddings import Embeddings, write_embeddings


def sora(*arguments):
    """Run the command; returns what it printed."""
    done = CliRunner().invoke(make_app(), [*map(str, arguments)])
    if isinstance(done.exception, SoraError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """1,200 videos of one slice, in groups of three that are alike."""
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(400, 8)), 3, axis=0) + 0.1 * rng.normal(size=(1200, 8))
    made = Embeddings(
        video_id=np.array([f"{n:04d}.mp4" for n in range(1200)], object),
        slice_no=np.zeros(1200, np.int32),
        start_s=np.zeros(1200),
        end_s=np.ones(1200),
        vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        fingerprint="f" * 64,
    )
    path = tmp_path_factory.mktemp("tables") / "all.parquet"
    write_embeddings(made, path)
    return path, made


def test_an_index_is_chosen_when_a_library_is_built_and_again(tmp_path, table):
    path, _ = table
    library = tmp_path / "library"
    said = sora("index", "build", library, path, "--recall", "0.9", "--memory", "25kB")
    assert "recall" in said
    assert "queries_per_second" in said
    (built,) = json.loads(sora("index", "info", library, "--json"))["indexes"]
    assert built["kind"] != "Flat"
    assert "recall@10" in sora("index", "info", library)
    (built,) = json.loads(sora("index", "tune", library, "--recall", "1", "--memory", "1MB", "--json"))
    assert max(point["recall"] for point in built["curve"]) == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--memory", "lots"), "memory=lots: is not a size; write it as 2GB or 500MB"),
        (("--latency", "soon"), "latency=soon: is not a time; write it as 10ms or 0.5s"),
        (("--recall", "2"), "recall=2.0: must be above 0 and at most 1"),
    ],
)
def test_a_target_that_means_nothing_is_refused_before_anything_is_built(tmp_path, table, options, message):
    with pytest.raises(ConfigError, match=message):
        sora("index", "build", tmp_path / "library", table[0], *options)
    assert list(tmp_path.iterdir()) == []


def test_queries_may_be_slices_and_embeddings(tmp_path, table):
    path, made = table
    library = tmp_path / "library"
    sora("index", "build", library, path)
    like = json.loads(sora("search", library, "slice:4", "--top", "2", "--json"))
    assert {hit["video_id"] for hit in like} == {"0003.mp4", "0005.mp4"}
    np.save(tmp_path / "query.npy", made.vectors[4])
    found = json.loads(sora("search", library, tmp_path / "query.npy", "--top", "3", "--json"))
    assert [hit["video_id"] for hit in found[:1]] == ["0004.mp4"]
    assert found[1:] == [
        {**hit, "query_end_s": 0.0, "lead": pytest.approx(hit["lead"], abs=0.1)} for hit in like
    ]
    only = json.loads(sora("search", library, "slice:4", "--where", "videos=0005*", "--json"))
    assert [hit["video_id"] for hit in only] == ["0005.mp4"]
    with pytest.raises(ConfigError, match="--html with the query slice:4: a page needs frames"):
        sora("search", library, "slice:4", "--html", tmp_path / "found.html")


def test_a_search_says_what_stands_out_and_when_nothing_does(tmp_path, table):
    path, made = table
    library, query = tmp_path / "library", tmp_path / "query.npy"
    sora("index", "build", library, path)
    np.save(query, made.vectors[4])
    (hit,) = json.loads(sora("search", library, query, "--top", "1", "--json"))
    assert (hit["sure"], hit["lead"]) == (True, pytest.approx(1, abs=1e-4))
    for known in (query, "slice:4"):  # what is only like a slice need not stand out
        done = CliRunner().invoke(make_app(), ["search", str(library), str(known)])
        assert "stands out" not in done.stderr
    np.save(query, np.full(8, 8**-0.5, np.float32))
    done = CliRunner().invoke(make_app(), ["search", str(library), str(query)])
    assert "no video stands out, by a lead of 0.65: the query may come from none of them" in done.stderr


@pytest.mark.parametrize("query", ["slice:4", "slice:700", "all.npy"])
def test_fewer_hits_are_the_first_of_more_in_table_and_json(tmp_path, table, query):
    path, made = table
    library = tmp_path / "library"
    sora("index", "build", library, path)
    if query == "all.npy":
        query = tmp_path / query
        np.save(query, made.vectors[[9, 300, 301]])
    told, shown = {}, {}
    for top in (1, 3, 10, 60, 120):
        told[top] = json.loads(sora("search", library, query, "--top", top, "--json"))
        lines = sora("search", library, query, "--top", top).splitlines()
        rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
        shown[top] = [row[:3] for row in rows]
    for top, hits in told.items():
        assert hits == told[120][:top]
        moments = [(hit, moment) for hit in hits for moment in hit["moments"]]
        assert shown[top] == [
            [f"{hit['lead']:.3f}", hit["video_id"], f"{moment['likeness']:.3f}"] for hit, moment in moments
        ]


def test_a_page_says_what_the_terminal_warns_of(tmp_path, videos, tiny_run):
    library, query, page = tmp_path / "library", videos / "odd/clip 1.mp4", tmp_path / "found.html"
    sora("index", "build", library, videos, "--model", tiny_run.path)
    words = ["search", library, query, "--exclude", "odd/clip 1.mp4", "--html", page]
    done = CliRunner().invoke(make_app(), list(map(str, words)))
    assert done.exit_code == 0, done.output
    (warning,) = re.findall("warning: (no video stands out, .*)", done.stderr)
    assert f"<li>{warning}</li>" in page.read_text(encoding="utf-8")


def test_a_folder_of_images_is_a_query(tmp_path, videos, tiny_run):
    library, shots, film = tmp_path / "library", tmp_path / "shots", videos / "odd/clip 1.mp4"
    sora("index", "build", library, videos, "--model", tiny_run.path)
    shots.mkdir()
    with av.open(film) as opened:
        fps = float(opened.streams.video[0].average_rate)
        for number, frame in enumerate(opened.decode(video=0)):
            frame.to_image().save(shots / f"{number}.png")
    (hit,) = json.loads(sora("search", library, shots, "--fps", fps, "--top", "1", "--json"))
    assert (hit["video_id"], hit["cosine"]) == ("odd/clip 1.mp4", pytest.approx(1, abs=0.01))
    with pytest.raises(
        ConfigError, match=r"--fps 5 with the query .*clip 1\.mp4: applies to a folder of images"
    ):
        sora("search", library, film, "--fps", "5")
    with pytest.raises(ConfigError, match=r"--html with the query .*shots: a page needs frames"):
        sora("search", library, shots, "--html", tmp_path / "found.html")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("slice:x", "query slice:x: no slice id; write for instance slice:12"),
        ("slice:1200", "has no slice 1200; correct the number"),
        ("missing.npy", r"query missing\.npy: cannot be read: .*; write it with numpy.save"),
    ],
)
def test_a_query_that_is_not_there_is_named(tmp_path, table, query, message):
    sora("index", "build", tmp_path / "library", table[0])
    with pytest.raises(SoraError, match=message):
        sora("search", tmp_path / "library", query)


def test_several_libraries_are_searched_as_one(tmp_path, table):
    made = table[1].select(table[1].video_id < "0090.mp4")
    write_embeddings(made, tmp_path / "all.parquet")
    is_east = made.video_id < "0045.mp4"
    for name, part in (("east", made.select(is_east)), ("west", made.select(~is_east))):
        write_embeddings(part, tmp_path / f"{name}.parquet")
        sora("index", "build", tmp_path / name, tmp_path / f"{name}.parquet")
    sora("index", "build", tmp_path / "all", tmp_path / "all.parquet")
    np.save(tmp_path / "query.npy", made.vectors[[3, 60]])
    both = f"{tmp_path / 'east'},{tmp_path / 'west'}"
    for verb in (("search", tmp_path / "query.npy", "--top", "4"), ("duplicates",)):
        joined, alone = (
            json.loads(sora(verb[0], library, *verb[1:], "--json")) for library in (both, tmp_path / "all")
        )
        names = [hit.get("video_id", hit.get("videos")) for hit in joined]
        assert names
        assert names == [hit.get("video_id", hit.get("videos")) for hit in alone]
    page = tmp_path / "pairs.html"
    sora("duplicates", both, "--html", page)
    assert "0060.mp4" in page.read_text(encoding="utf-8")


def test_a_library_is_searched_by_words(tmp_path, videos, fetched):
    library = tmp_path / "library"
    sora("index", "build", library, videos, "--model", fetched("hf:tiny/clip"))
    hits = json.loads(sora("search", library, "--text", "a person falls", "--top", "2", "--json"))
    assert len(hits) == 2
    assert hits[0]["cosine"] >= hits[1]["cosine"]
    assert hits[0]["lead"] is None
    for both in ((), ("query.mp4", "--text", "a dog")):
        with pytest.raises(ConfigError, match="words by --text; one of them"):
            sora("search", library, *both)
