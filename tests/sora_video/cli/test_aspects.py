"""A run of two streams: every command by look, by motion, or by both."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sora_video.base.errors import ConfigError
from sora_video.downstream.classify.predict import classify_videos
from sora_video.downstream.classify.train import train_classifier
from sora_video.downstream.probe.features import frozen_features
from sora_video.index.library import Library
from sora_video.pretrain.encoders.embeddings import read_embeddings, write_embeddings
from sora_video.pretrain.encoders.entries import pool
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.video.corpus import open_corpus
from sora_video.watch.normal import distance, open_normal
from sora_video.watch.stream import watch_stream

BY = [None, "look", "motion"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, videos, make_config):
    config = make_config("encoder.input=both", "optim.epochs=2")
    return pretrain_encoder(videos, tmp_path_factory.mktemp("streams") / "run", config).path


@pytest.fixture(scope="module")
def table(tmp_path_factory, run, videos):
    """Embeddings by all, made once."""
    path = tmp_path_factory.mktemp("table") / "all.parquet"
    write_embeddings(load_encoder(run).embed(videos), path)
    return path


@pytest.fixture(scope="module")
def library(tmp_path_factory, table, run):
    """Of the table; not to be changed."""
    path = tmp_path_factory.mktemp("library") / "library"
    embeddings = read_embeddings(table)
    made = Library.create(path, embeddings.fingerprint, embeddings.dim, aspects=embeddings.aspects)
    made.add(embeddings, run)
    return path


def asked(by):
    return [] if by is None else ["--by", by]


@pytest.mark.parametrize("by", BY)
def test_search_by_each(library, run, videos, sora, by):
    clip = videos / "even/clip 2.mp4"
    code, printed = sora("search", library, clip, *asked(by), "--json")
    hits = json.loads(printed)
    assert (code, len(hits)) == (0, 8)
    best = max(hits, key=lambda hit: hit["cosine"])
    assert best["cosine"] == pytest.approx(1, abs=1e-4)
    embedded = load_encoder(run).embed(clip)
    stored = Library.open(library)
    for hit in hits:
        rows = stored.embeddings(hit["video_id"]).vectors
        aspect = stored.aspect(by)
        query, held = (embedded.vectors, rows) if by is None else map(aspect.part, (embedded.vectors, rows))
        assert hit["cosine"] == pytest.approx(float((query @ held.T).max()), abs=1e-4)


def test_search_that_asks_for_agreement(library, videos, sora, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, printed = sora("search", library, videos / "even/clip 2.mp4", "--json")
    hits = json.loads(printed)
    assert code == 0
    assert all(set(hit["leads"]) == {"look", "motion"} for hit in hits)
    for hit in hits:
        assert not hit["sure"] or (hit["lead"] >= 0.65 and min(hit["leads"].values()) >= 0.4)
    for options, shown in (([], True), (["--agree"], True), (["--no-agree"], False)):
        printed = sora("search", library, videos / "even/clip 2.mp4", *options)[1]
        assert ("by look" in printed) == shown


@pytest.mark.parametrize("options", [[], ["--by", "look"], ["--by", "motion"], ["--agree"]], ids=str)
def test_duplicates_by_each(tmp_path, table, sora, options):
    """Each video is there twice."""
    whole = read_embeddings(table)
    library = Library.create(tmp_path / "library", whole.fingerprint, whole.dim, aspects=whole.aspects)
    for prefix in ("a", "b"):
        names = np.array([f"{prefix}/{name}" for name in whole.video_id], object)
        library.add(replace(whole, video_id=names))
    code, printed = sora("duplicates", library.path, *options, "--json")
    pairs = {(pair["query_id"], pair["video_id"]) for group in json.loads(printed) for pair in group["pairs"]}
    assert code == 0
    assert {(f"a/{name}", f"b/{name}") for name in whole.videos()} <= pairs


@pytest.mark.usefixtures("quick_probe")
@pytest.mark.parametrize("by", ["look", "motion"])
def test_probe_by_each(tmp_path, run, table, videos, sora, by):
    """The features are the aspect's, in the space of all."""
    options = ("--class-folders", "--model", run, "--by", by, "--cache", tmp_path, "--json")
    code, printed = sora("probe", videos, *options)
    assert code == 0
    assert json.loads(printed)["fingerprints"] == [read_embeddings(table).fingerprint]
    corpus = open_corpus(videos)
    (frozen,), _ = frozen_features([load_encoder(run, by=by)], corpus, tmp_path)  # as they were kept
    expected = pool(read_embeddings(table).alone(by), corpus)
    np.testing.assert_allclose(frozen.pooled, expected, atol=1e-5)


@pytest.mark.parametrize("by", ["look", "motion"])
def test_classify_by_each(tmp_path, run, table, videos, sora, by):
    heads = []
    for model in (run, table):
        out = tmp_path / f"head {len(heads)}"
        words = ("classify", "train", videos, "--class-folders", "--model", model, "--out", out, "--by", by)
        assert sora(*words)[0] == 0
        heads.append(out)
    body = json.loads((heads[0] / "head.json").read_text())
    assert body["by"] == by
    first, second = (classify_videos(head, videos, run) for head in heads)
    for ours, theirs in zip(first.videos, second.videos, strict=True):
        chances = [video.answers["label"].chances["odd"] for video in (ours, theirs)]
        assert chances[0] == pytest.approx(chances[1], abs=1e-4)


def test_a_classifier_by_sound_leaves_out_what_has_none(tmp_path, heard_videos, untrained_run):
    settings = ("encoder.name=sora_av", "encoder.av.dim=16", "encoder.av.mels=16", "encoder.width=4")
    run = untrained_run(tmp_path / "run", *settings, "slice.size=32")
    rows = [f"{heard_videos}/clip {number}.mp4,{'ab'[number % 2]},{number}" for number in range(6)]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["path,label,group", *rows]) + "\n")
    train_classifier(labels, run, tmp_path / "head", by="sound")
    predictions = classify_videos(tmp_path / "head", heard_videos)
    assert [video.video_id for video in predictions.videos] == [f"clip {number}.mp4" for number in range(6)]
    assert {failure.video_id: failure.reason for failure in predictions.failures} == dict.fromkeys(
        ("clip 6.mp4", "clip 7.mp4"), "no sound in any of its slices"
    )


@pytest.mark.parametrize("by", BY)
def test_watch_by_each(library, videos, by):
    normal = open_normal(library, false_alarms="0.5", neighbours=1, by=by)
    *_, summary = watch_stream(normal, str(videos / "odd/clip 1.mp4"))
    assert summary["threshold"]["by"] == by
    assert summary["slices"] > 0
    slice_ = Library.open(library).embeddings("odd/clip 1.mp4").select([0])
    far, nearest = distance(normal.library, slice_, 1, by)
    assert (nearest.video_id, far) == ("odd/clip 1.mp4", pytest.approx(0, abs=1e-4))


def test_embed_by_each(tmp_path, run, table, videos, sora):
    whole = read_embeddings(table)
    for by in ("look", "motion"):
        out = tmp_path / f"{by}.parquet"
        assert sora("embed", videos, "--model", run, "--by", by, "--out", out)[0] == 0
        np.testing.assert_allclose(read_embeddings(out).vectors, whole.alone(by).vectors, atol=1e-5)
    assert sora("index", "build", tmp_path / "library", table)[0] == 0
    assert json.loads(sora("index", "info", tmp_path / "library", "--json")[1])["aspects"] == [
        "look",
        "motion",
    ]


def test_an_encoder_of_one_stream_is_refused(tmp_path, tiny_run, videos, sora):
    library = tmp_path / "library"
    assert sora("index", "build", library, videos, "--model", tiny_run.path)[0] == 0
    refusals = {
        (
            "search",
            library,
            videos / "even/clip 2.mp4",
        ): "r3d_tiny does not keep look and motion apart; train",
        ("search", library, "slice:3"): "keeps no aspects apart",
        ("duplicates", library): "keeps no aspects apart",
        ("watch", library, videos / "even/clip 2.mp4"): "keeps no aspects apart",
        ("embed", videos, "--model", tiny_run.path, "--out", tmp_path / "a.parquet"): "does not keep look",
    }
    for words, refusal in refusals.items():
        code, printed = sora(*words, "--by", "look")
        assert code == 2
        assert "by=look: " in printed
        assert refusal in printed
        assert "encoder.input=both" in printed
    with pytest.raises(ConfigError, match="by=look: the table of embeddings"):
        load_encoder(tiny_run.path).embed(videos).alone("look")
