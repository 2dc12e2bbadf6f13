import json
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
import typer

import sora_video
from sora_video.cli.main import main, make_app
from sora_video.pretrain.encoders.embeddings import read_embeddings, write_embeddings
from sora_video.pretrain.encoders.registry import encoder_names
from tests.json_page import check

SORA = Path(sys.executable).with_name("sora")
TINY = [
    "encoder.width=4",
    "slice.size=32",
    "augment.size=32",
    "optim.epochs=1",
    "slice.per_video=2",
    "loss.temperature=0.1",
    "optim.batch_size=4",
    "data.workers=0",
    "tracking.every=1",
]


def sora(*arguments, check=0):
    """Run the command in this process, which takes less time than one of its own; returns what it printed."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["sora", *map(str, arguments)])
        patch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # else the command sets it for good
        with pytest.raises(SystemExit) as ended:
            main()
    assert (ended.value.code or 0) == check, err.getvalue()
    return (err if check else out).getvalue()


def sora_process(*arguments, check=0, **options):
    """Run the command as a user does; returns what it printed."""
    done = subprocess.run(
        [SORA, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False, **options
    )
    assert done.returncode == check, done.stderr
    return done.stderr if check else done.stdout


def refusal(*arguments, run=sora, **options):
    """The one line with which the command refuses."""
    text = run(*arguments, check=2, **options)
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture(scope="session")
def run(tmp_path_factory, videos):
    """A run made by the command."""
    path = tmp_path_factory.mktemp("cli") / "run"
    said = sora_process("pretrain", videos, "--out", path, *TINY)
    assert "finished" in said
    return path


@pytest.fixture(scope="session")
def library(tmp_path_factory, videos, run):
    """A library made by the command."""
    path = tmp_path_factory.mktemp("cli") / "library"
    assert "8 videos" in sora_process("index", "build", path, videos, "--model", run)
    return path


def test_scan_names_what_is_there_and_what_is_not_readable(videos, tmp_path):
    for path in videos.rglob("*.mp4"):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    found = json.loads(sora("scan", tmp_path, "--json"))
    assert len(found["videos"]) == 8
    assert [failure["video_id"] for failure in found["unreadable"]] == ["broken.mp4"]
    assert {video["codec"] for video in found["videos"]} == {"h264"}


@pytest.mark.slow
@pytest.mark.usefixtures("quick_probe")
def test_a_prepared_folder_is_a_corpus_with_the_same_labels(videos, run, tmp_path):
    paths = sorted(videos.rglob("*.mp4"))
    rows = [f"{path},{path.parent.name},{'train' if n % 2 else 'test'}" for n, path in enumerate(paths)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,split", *rows]))
    small = ("--out", tmp_path / "small", "--size", 32, "--fps", 8)
    said = sora("prepare", tmp_path / "labels.csv", *small)
    assert said == f"8 videos in {tmp_path}/small/manifest.csv, 8 of them new\n"
    told = json.loads(sora("prepare", tmp_path / "labels.csv", *small, "--json"))
    assert (told["videos"], told["made"], told["unreadable"]) == (8, 0, [])
    found = json.loads(sora("scan", tmp_path / "small", "--json"))["videos"]
    assert {(video["codec"], video["width"], video["height"]) for video in found} == {("h264", 42, 32)}
    families = json.loads(sora("probe", told["manifest"], "--model", run, "--json"))["families"]
    assert next(iter(families)).startswith("pretrained")


def test_dry_run_prints_the_resolved_config_and_makes_nothing(videos, tmp_path):
    said = sora(
        "pretrain", videos, "--out", tmp_path / "run", "--config", "tiny-cpu", "optim.lr=0.5", "--dry-run"
    )
    assert "lr: 0.5" in said
    assert not (tmp_path / "run").exists()


def test_embed_index_search_agree_on_where_a_video_is(videos, run, library, tmp_path):
    sora("embed", videos, "--model", run, "--out", tmp_path / "all.parquet")
    embeddings = read_embeddings(tmp_path / "all.parquet")
    info = json.loads(sora("index", "info", library, "--json"))
    assert info["slices"] == len(embeddings)
    assert info["fingerprint"] == embeddings.fingerprint
    hits = json.loads(
        sora("search", library, videos / "even/clip 2.mp4", "--end", "1", "--top", "3", "--json")
    )
    assert len(hits) == 3
    assert hits[0]["video_id"] == "even/clip 2.mp4"
    assert hits[0]["start_s"] == 0
    assert hits[0]["cosine"] == pytest.approx(1, abs=1e-5)


def test_a_search_tells_spans_and_draws_them(videos, library, tmp_path):
    page = tmp_path / "page.html"
    query = videos / "even/clip 2.mp4"
    told = sora("search", library, query, "--top", 2, "--html", page)
    assert "speed" in told
    assert page.read_text(encoding="utf-8").count("data:image/jpeg") >= 3
    sora("search", library, query, "--top", 2, "--html", page, "--force", "--videos", tmp_path)
    assert page.read_text(encoding="utf-8").count("is missing") >= 2
    best = json.loads(sora("search", library, query, "--json"))[0]
    span = best["aligned"][0]
    assert (span["query_start_s"], span["start_s"], span["speed"]) == pytest.approx((0, 0, 1), abs=0.1)
    assert best["moments"][0]["likeness"] == pytest.approx(1, abs=1e-5)


def test_duplicates_are_told_by_group(videos, run, tmp_path):
    for path in videos.rglob("*.mp4"):
        (tmp_path / "held" / path.name).parent.mkdir(exist_ok=True)
        (tmp_path / "held" / path.name).symlink_to(path)
    (tmp_path / "held/again.mp4").symlink_to(videos / "even/clip 2.mp4")
    sora("index", "build", tmp_path / "library", tmp_path / "held", "--model", run)
    groups = json.loads(sora("duplicates", tmp_path / "library", "--threshold", 0.999, "--json"))
    (together,) = [group for group in groups if "again.mp4" in group["videos"]]
    assert "clip 2.mp4" in together["videos"]
    pair = together["pairs"][0]
    assert pair["likeness"] == pytest.approx(1, abs=1e-3)
    assert pair["cover"] > 0.95  # its ends are estimates, finer than slices
    page = tmp_path / "pairs.html"
    assert "near-duplicate" in sora("duplicates", tmp_path / "library", "--threshold", 0.999, "--html", page)
    drawn = page.read_text(encoding="utf-8")
    assert drawn.count("<img") >= 2
    assert ("no frames" in drawn, "again.mp4" in drawn, "likeness 1.000" in drawn) == (False, True, True)


def test_add_and_remove_change_what_is_found(videos, run, tmp_path):
    path = tmp_path / "library"
    sora("index", "build", path, videos / "even", "--model", run)
    assert "8 videos" in sora("index", "add", path, videos / "odd")
    sora("index", "remove", path, "clip 2.mp4")
    hits = json.loads(sora("search", path, videos / "even/clip 2.mp4", "--json"))
    assert "clip 2.mp4" not in {hit["video_id"] for hit in hits}


def test_python_and_command_give_the_same(videos, run, library):
    encoder = sora_video.load_encoder(run)
    query = encoder.embed(videos / "odd/clip 3.mp4")
    hits = sora_video.localize(sora_video.Library.open(library), sora_video.Query(query, top=2))
    told = json.loads(sora("search", library, videos / "odd/clip 3.mp4", "--top", 2, "--json"))
    assert [hit.video_id for hit in hits] == [hit["video_id"] for hit in told]


@pytest.mark.usefixtures("quick_probe")
def test_probes_are_reported_and_compared(videos, run, tmp_path):
    command = ("probe", videos, "--class-folders", "--model", run)
    sora(*command, "--report", tmp_path / "whole")
    assert "report.html" in sora(*command, "--report", tmp_path / "crops", "--views", "2x3")
    table = json.loads(sora("compare", tmp_path / "whole", tmp_path / "crops" / "metrics.json", "--json"))
    assert {row["metric"] for row in table} >= {"linear balanced", "knn balanced", "R@1"}
    assert "difference" in table[1]
    stored = json.loads((tmp_path / "crops" / "metrics.json").read_text())
    assert stored["command"].endswith(f"--report {tmp_path / 'crops'} --views 2x3")
    measured = json.loads(sora(*command, "--json"))
    check("probe", measured)
    assert [name.split(" ")[0] for name in measured["families"]] == [
        "pretrained",
        "random",
        "pixels:",
        "pixels:",
    ]
    assert "linear" in sora("compare", run, tmp_path / "whole")


def test_doctor_names_the_parts():
    facts = json.loads(sora("doctor", "--json"))
    found = {check["name"]: check["found"] for check in facts["checks"]}
    assert facts["ok"]
    assert f"torch {torch.__version__.partition('+')[0]}" in found["packages"]
    assert "faiss-" in found["faiss"]
    assert "h264" in found["decoders"]
    assert f"GB free at {Path.cwd()}" in found["disk"]


@pytest.mark.slow
def test_encoders_are_listed_with_what_they_cost():
    rows = json.loads(sora("encoders", "--frames", "16", "--size", "112", "--json"))
    check("encoders", rows)
    assert [row["name"] for row in rows] == encoder_names()
    r3d = next(row for row in rows if row["name"] == "r3d_18")
    assert (r3d["frames"], r3d["size"], r3d["parameters"], r3d["dim"]) == (16, 112, 33_166_272, 512)
    assert 80e9 < r3d["flops"] < 82e9


@pytest.mark.slow
def test_encoders_are_a_table():
    table = sora("encoders")
    assert "r3d_18" in table
    assert "8 x 64 x 64" in table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("scan {tmp}/absent", "no such file or folder"),
        ("scan {tmp}/empty", "holds no video"),
        ("prepare {tmp}/empty --out {tmp}/run", "holds no video"),
        ("prepare {tmp}/bad --out {tmp}/run", "none of its 3 videos can be read"),
        ("prepare {videos} --out {videos}/small", "is inside the corpus"),
        ("prepare {videos} --out {run}", "was not made by `sora prepare`"),
        ("prepare {videos} --out {tmp}/run --size 127", "size=127: must be an even number"),
        ("prepare {videos} --out {tmp}/run --fps 0", "fps=0: must be a number"),
        ("prepare {videos} --out {tmp}/run --workers 0", "workers=0: must be at least 1"),
        ("pretrain {tmp}/empty --out {tmp}/run", "holds no video"),
        ("pretrain {videos} --out {run}", "exists already"),
        ("pretrain {videos} --out {tmp}/run optim.epoch=3", "did you mean 'optim.epochs'"),
        ("pretrain {videos} --out {tmp}/run slice.frames=0", "slice.frames=0: "),
        (
            "pretrain {videos} --out {tmp}/run encoder.name=vgg",
            "encoder.name='vgg': is not known; choose one of r3d_tiny, ",
        ),
        ("pretrain {videos} --out {tmp}/run --config none.yaml", "neither a file nor a recipe"),
        ("pretrain {videos} --out {tmp}/none --resume", "no run there"),
        ("pretrain {videos} --out {run} --resume", "finished already"),
        ("pretrain {tmp}/bad --out {tmp}/run", "cannot be read"),
        ("embed {videos} --model {tmp}/empty --out {tmp}/a.parquet", "no run there"),
        ("embed {tmp}/bad --model {run} --out {tmp}/a.parquet", "can be read"),
        ("embed {videos} --model {run} --out {tmp}/a.csv", "choose a name that ends in .parquet"),
        ("index build {library} {videos} --model {run}", "exists already"),
        ("index build {tmp}/new {videos}", "--model"),
        ("index info {tmp}/empty", "no library"),
        ("index remove {library} nothing.mp4", "nothing.mp4"),
        ("search {library} {tmp}/bad/text.mp4", "text.mp4"),
        ("search {library} {tmp}/bad/sound.mp4", "no video stream"),
        ("search {library} {tmp}/bad/zero.mp4", "0 bytes"),
        ("search {library} {videos}/absent.mp4", "absent.mp4"),
        ("search {library} {one} --start 60", "span 1:00.00 to 0:0"),
        ("search {library} {one} --top 0", "top"),
        ("duplicates {library} --cover 2", "cover=2"),
        ("duplicates {tmp}/empty", "no library"),
        ("probe {tmp}/labels.csv --model {run}", "none of its 2 files exists"),
        ("probe {videos} --model {run}", "label column 'label'"),
        ("probe {videos} --class-folders --model {run} --views 3", "views=3: must be SLICESxCROPS"),
        ("compare {tmp}/empty", "holds no metrics of a probe"),
        ("demo --out {run}", "exists already"),
    ],
)
def test_bad_input_ends_in_one_line_and_leaves_nothing(
    arguments, message, videos, run, library, tmp_path, write_sound
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    for name, content in {"text.mp4": b"just text", "zero.mp4": b""}.items():
        (tmp_path / "bad" / name).write_bytes(content)
    write_sound(tmp_path / "bad" / "sound.mp4")
    (tmp_path / "labels.csv").write_text("path,label,split\nx.mp4,a,train\ny.mp4,b,test\n")
    places = {"tmp": tmp_path, "videos": videos, "run": run, "library": library, "one": "@one"}
    words = [word.format(**places) for word in arguments.split()]
    words = [str(videos / "even/clip 2.mp4") if word == "@one" else word for word in words]
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "run")}
    assert message in refusal(*words)
    after = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "run")}
    assert after == before
    left = {path.name for path in (tmp_path / "run").rglob("*")}
    assert left <= {"config.yaml", "events.jsonl", "log.jsonl", "quarantine.json", "prepared.jsonl"}


def test_a_library_refuses_another_model_of_the_same_size(videos, library, tmp_path):
    other = tmp_path / "other"
    sora("pretrain", videos, "--out", other, *TINY, "seed=1")
    line = refusal("search", library, videos / "even/clip 2.mp4", "--model", other)
    ours, theirs = (
        sora_video.load_encoder(path).fingerprint[:12] for path in (library_model(library), other)
    )
    assert ours in line
    assert theirs in line


def library_model(library):
    """The run that a library remembers."""
    return sora_video.Library.open(library).model


def test_a_full_disk_is_one_line_and_loses_nothing(videos, run, tmp_path):
    embeddings = sora_video.load_encoder(run).embed(videos)
    target = tmp_path / "all.parquet"
    write_embeddings(embeddings.select(np.arange(1)), target)
    before = target.read_bytes()

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    command = ("embed", videos, "--model", run, "--out", target, "--force")
    line = refusal(*command, run=sora_process, preexec_fn=limit)
    assert f"cannot write {target}" in line
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.slow
def test_odd_files_go_through_scan_embed_and_search(odd_files, run, tmp_path):
    found = json.loads(sora("scan", odd_files, "--json"))
    unreadable = {failure["video_id"] for failure in found["unreadable"]}
    done = subprocess.run(
        [SORA, "embed", odd_files, "--model", run, "--out", tmp_path / "odd.parquet"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    embeddings = read_embeddings(tmp_path / "odd.parquet")
    videos = {path.relative_to(odd_files).as_posix() for path in odd_files.rglob("*") if path.is_file()}
    assert set(embeddings.videos()) == videos - unreadable
    for name in unreadable:
        assert f"  {name}: " in done.stderr
    sora("index", "build", tmp_path / "library", tmp_path / "odd.parquet")
    query = odd_files / "real/mmaction2__tests_data_test.avi"
    hits = json.loads(sora("search", tmp_path / "library", query, "--model", run, "--json"))
    scores = {hit["video_id"]: hit["cosine"] for hit in hits}  # where nothing moves, others may be as like
    assert scores["real/mmaction2__tests_data_test.avi"] == pytest.approx(1, abs=1e-4)
    assert hits[0]["cosine"] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nonsense", "error: No such command 'nonsense'; see `sora --help`"),
        ("pretrain x", "error: Missing option '--out'; see `sora pretrain --help`"),
        ("index info", "error: Missing argument 'LIBRARY'; see `sora index info --help`"),
        (
            "search a b --start 1:5",
            "'1:5' is not a time; write 75, 1:15 or 0:01:15; see `sora search --help`",
        ),
        ("search a b --top many", "'--top'"),
        ("search a b --tpo 3", "--tpo"),
    ],
)
def test_wrong_usage_is_told_in_one_line(words, message):
    assert message in refusal(*words.split())


@pytest.mark.parametrize("words", ["", "index", "classify", "models"])
def test_a_group_alone_prints_its_help(words):
    done = subprocess.run([SORA, *words.split()], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Usage: sora" in done.stderr + done.stdout


def test_the_version_is_told():
    assert sora("--version") == f"sora-video {sora_video.__version__}\n"


def verbs(group=None, words=()):
    """The words of every verb of the command."""
    command = typer.main.get_command(make_app()) if group is None else group
    for name, inner in command.commands.items():
        if hasattr(inner, "commands"):
            yield from verbs(inner, (*words, name))
        else:
            yield (*words, name)


@pytest.mark.parametrize("verb", list(verbs()), ids=" ".join)
def test_every_verb_has_help_with_an_example(verb):
    told = sora(*verb, "-h")
    assert told == sora(*verb, "--help")
    assert f"Example: sora {' '.join(verb)}" in " ".join(told.split())


def test_times_may_be_written_as_they_are_shown(videos, library):
    query = (library, videos / "even/clip 2.mp4", "--json")
    assert sora("search", *query, "--start", "0:01", "--end", "0:00:02.0") == sora(
        "search", *query, "--start", "1", "--end", "2"
    )
    later = sora("search", *query, "--where", "start_s=0:01")
    assert later == sora("search", *query, "--where", "start_s=1")
    assert min(hit["start_s"] for hit in json.loads(later)) >= 1


def test_a_video_can_be_left_out_of_its_own_search(videos, library):
    query = videos / "even/clip 2.mp4"
    hits = json.loads(sora("search", library, query, "--exclude", "even/clip 2.mp4", "--json"))
    assert len(hits) == 7
    assert "even/clip 2.mp4" not in {hit["video_id"] for hit in hits}


def test_only_new_and_changed_videos_are_embedded(videos, run, tmp_path):
    path, corpus = tmp_path / "library", tmp_path / "corpus"
    shutil.copytree(videos / "even", corpus)
    sora("index", "build", path, corpus, "--model", run)
    (corpus / "broken.mp4").write_bytes(b"no video")
    assert "0 added, 0 replaced, 4 unchanged; " in sora("index", "add", path, corpus)
    shutil.copy(corpus / "clip 2.mp4", corpus / "new.mp4")
    shutil.copy(corpus / "clip 4.mp4", corpus / "clip 2.mp4")
    assert "1 added, 1 replaced, 3 unchanged; " in sora("index", "add", path, corpus)
    hits = json.loads(sora("search", path, corpus / "new.mp4", "--end", "1", "--top", "2", "--json"))
    assert hits[0]["video_id"] == "new.mp4"
    assert hits[1]["cosine"] < 0.9999


def test_a_place_that_cannot_be_made_is_one_line(videos, tmp_path):
    (tmp_path / "file").write_text("in the way")
    line = refusal("pretrain", videos, "--out", tmp_path / "file" / "run", *TINY)
    assert "file" in line
