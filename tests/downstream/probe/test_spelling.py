"""Labels that a person takes for one class, wherever labels are read."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from sora_video.base.errors import LabelsError
from sora_video.downstream.classify.train import train_classifier
from sora_video.downstream.datasets.registry import open_dataset
from sora_video.downstream.probe.probe import linear_probe
from sora_video.pretrain.encoders.embeddings import Embeddings, write_embeddings
from sora_video.pretrain.video.corpus import Corpus, Video
from sora_video.pretrain.video.spelling import one_spelling

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
PAIRS = [
    pytest.param("run", "run ", r"'run' and 'run '", id="blank at the end"),
    pytest.param("run", " run", r"'run' and ' run'", id="blank at the start"),
    pytest.param("high jump", "high  jump", r"'high jump' and 'high  jump'", id="two blanks"),
    pytest.param("high jump", "high\u00a0jump", r"'high jump' and 'high\\xa0jump'", id="no-break space"),
    pytest.param("run", "run\t", r"'run' and 'run\\t'", id="tabulator"),
    pytest.param("run", "ru\u200bn", r"'run' and 'ru\\u200bn'", id="zero-width space"),
    pytest.param("run", "\ufeffrun", r"'run' and '\\ufeffrun'", id="byte-order mark"),
    pytest.param("Run", "run", "'Run' and 'run'", id="case"),
    pytest.param("Straße", "STRASSE", "'Straße' and 'STRASSE'", id="case of more letters"),
    pytest.param(COMPOSED, DECOMPOSED, r"'caf\\xe9' and 'cafe\\u0301'", id="composed and decomposed"),
    pytest.param("run", "ｒｕｎ", r"'run' and '\\uff52\\uff55\\uff4e'", id="wide letters"),
]


def corpus_of(*labels, column="label"):
    """A video a label."""
    root = Path("/videos")
    videos = [
        Video(video_id=f"{n}.mp4", path=root / f"{n}.mp4", columns={column: text} if text else {})
        for n, text in enumerate(labels)
    ]
    return Corpus(root, tuple(videos))


def labels_of(corpus, column="label"):
    return [video.columns.get(column, "") for video in corpus.videos]


@pytest.mark.parametrize(("one", "other", "told"), PAIRS)
def test_labels_that_look_alike_are_refused_or_joined(one, other, told, capsys):
    corpus = corpus_of(one, other, "jump", "", one)
    with pytest.raises(LabelsError, match=rf"\Alabel: {told} differ only in .* --join-labels\Z"):
        one_spelling(corpus)
    assert labels_of(one_spelling(corpus, join=True)) == [one, one, "jump", "", one]
    assert "warning: label: joined " in capsys.readouterr().err


def test_other_labels_stay_as_they_are():
    corpus = corpus_of("run", "ran", "рун", "run 2", "", "naïve", "naive")
    assert one_spelling(corpus) is corpus


def test_each_column_and_each_class_of_a_row_is_looked_at():
    assert one_spelling(corpus_of("run; jump", "jump", "jump;run"), separator=";")
    with pytest.raises(LabelsError, match="'jump' and 'Jump' differ"):
        one_spelling(corpus_of("run; jump", "Jump;run", "jump"), separator=";")
    joined = one_spelling(corpus_of("run; jump", "Jump;run", "jump"), join=True, separator=";")
    assert labels_of(joined) == ["run;jump", "jump;run", "jump"]
    with pytest.raises(LabelsError, match="place: 'Here' and 'here' differ"):
        one_spelling(corpus_of("here", "Here", column="place"), ["label", "place"])


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u200b"])
def test_a_label_that_nobody_sees_is_refused(blank):
    with pytest.raises(LabelsError, match=r"1\.mp4 has the label .* which is blank"):
        one_spelling(corpus_of("run", blank), join=True)


def test_many_groups_are_told_in_one_line():
    labels = [text for n in range(5) for text in (f"class {n}", f"Class {n}")]
    with pytest.raises(LabelsError, match="and 2 more groups differ only"):
        one_spelling(corpus_of(*labels))


@pytest.fixture
def manifest(tmp_path):
    """16 rows of two classes, one of them spelt in two ways; their files are empty."""
    rows = ["path,label,group,split"]
    for number in range(16):
        (tmp_path / f"{number}.mp4").touch()
        label = ("Run", "run")[number > 3] if number % 2 else "jump"
        rows.append(f"{number}.mp4,{label},g{number},{'test' if number > 11 else 'train'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "labels.csv"


def test_probe_and_classifier_refuse_them_before_anything_is_embedded(manifest, tmp_path):
    for use in (linear_probe, lambda *given: train_classifier(*given, tmp_path / "head")):
        with pytest.raises(LabelsError, match="'run' and 'Run' differ"):
            use(manifest, tmp_path / "no run")
    assert not (tmp_path / "head").exists()


def test_class_folders_are_looked_at(tmp_path):
    for folder in (COMPOSED, DECOMPOSED, "run"):
        (tmp_path / "classes" / folder).mkdir(parents=True)
        for name in ("0.mp4", "1.mp4"):
            (tmp_path / "classes" / folder / name).touch()
    for use in (linear_probe, lambda *given, **more: train_classifier(*given, tmp_path / "head", **more)):
        with pytest.raises(LabelsError, match=r"'caf\\xe9' and 'cafe\\u0301' differ"):
            use(tmp_path / "classes", tmp_path / "no run", class_folders=True)


def test_joined_labels_are_one_class_of_a_classifier(manifest, tmp_path, sora):
    vectors = np.tile(np.eye(4, dtype=np.float32)[:2], (8, 1))
    embeddings = Embeddings(
        video_id=np.array([f"{n}.mp4" for n in range(16)], object),
        slice_no=np.zeros(16, np.int32),
        start_s=np.zeros(16),
        end_s=np.ones(16),
        vectors=vectors,
        fingerprint="f" * 64,
    )
    write_embeddings(embeddings, tmp_path / "all.parquet")
    command = ("classify", "train", manifest, "--model", tmp_path / "all.parquet", "--out", tmp_path / "head")
    code, told = sora(*command)
    assert code == 2
    assert "'run' and 'Run' differ only" in told
    assert sora(*command, "--join-labels")[0] == 0
    assert '"jump", "run"' in " ".join((tmp_path / "head/head.json").read_text().split())


def test_a_data_set_is_looked_at(tmp_path, sora):
    head = "label,youtube_id,time_start,time_end,split\n"
    for side, label in (("train", "air drumming"), ("val", "Air drumming")):
        (tmp_path / f"{side}.csv").write_text(f"{head}{label},{side}56789ab,0,10,{side}\n")
        (tmp_path / f"{side}56789ab_000000_000010.mp4").touch()
    with pytest.raises(LabelsError, match="'Air drumming' and 'air drumming' differ"):
        open_dataset("kinetics", tmp_path)
    command = ("datasets", "kinetics", tmp_path, "--out", tmp_path / "all.csv")
    assert sora(*command)[0] == 2
    assert sora(*command, "--join-labels")[0] == 0
    assert "air drumming," not in (tmp_path / "all.csv").read_text()
