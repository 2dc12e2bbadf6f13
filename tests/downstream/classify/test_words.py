"""Classes named in words; the networks are tiny and random, so that the rule is tested and no quality."""

import json

import numpy as np
import pytest
from scipy.special import softmax

from sora_video.base.errors import ConfigError
from sora_video.downstream.classify.predict import classify_videos
from sora_video.downstream.classify.words import PROMPTS, classify_by_words, keeping, words_classifier
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.spec import absolute_spec
from sora_video.pretrain.video.corpus import open_corpus

LABELS = ("a person falls", "a dog runs", "a red video")


def test_chances_are_a_softmax_of_cosines(fetched, videos):
    model = fetched("hf:tiny/clip")
    encoder, done = load_encoder(model), classify_by_words(videos, LABELS, model)
    embeddings = encoder.embed(videos, progress=False)
    texts = [
        encoder.embed_text([prompt.replace("{}", label) for prompt in PROMPTS]).mean(0) for label in LABELS
    ]
    weights = np.stack([text / np.linalg.norm(text) for text in texts])
    for video in done.predictions.videos:
        mean = embeddings.vectors[embeddings.video_id == video.video_id].mean(0)
        chances = softmax(weights @ (mean / np.linalg.norm(mean)) / encoder.words.temperature)
        answer = video.answers["label"]
        np.testing.assert_allclose([answer.chances[label] for label in LABELS], chances, atol=1e-5)
        assert answer.label == LABELS[chances.argmax()]
        assert (answer.spans[0].start_s, answer.spans[-1].end_s) == (video.start_s, video.end_s)
    assert done.scores == {}


def test_answers_are_scored_where_classes_are_known(fetched, videos, tmp_path):
    paths = sorted(videos.rglob("*.mp4"))[:4]
    names = ["a dog runs", "a person falls", "a dog runs", "something else"]
    rows = [f"{path},{name}" for path, name in zip(paths, names, strict=True)]
    manifest = tmp_path / "labels.csv"
    manifest.write_text("\n".join(["path,what", *rows]) + "\n")
    done = classify_by_words(manifest, LABELS, fetched("hf:tiny/clip"), column="what")
    assert done.unknown == ("something else",)
    said = [video.answers["what"].label for video in done.predictions.videos[:3]]
    assert done.scores["rows"] == 3
    assert done.scores["accuracy"] == pytest.approx(
        np.mean([a == b for a, b in zip(said, names, strict=False)])
    )


def test_it_is_a_classifier_as_any_other(fetched, videos, tmp_path):
    model = fetched("open_clip:tiny/clip")
    words_classifier(load_encoder(model), LABELS, model=model).save(tmp_path / "head")
    found, expected = classify_videos(tmp_path / "head", videos), classify_by_words(videos, LABELS, model)
    assert json.dumps(found.as_json()) == json.dumps(expected.predictions.as_json())


def test_answers_of_an_interrupted_call_are_taken_for_the_same_words_alone(fetched, videos, tmp_path):
    model, corpus = fetched("hf:tiny/clip"), open_corpus(videos)
    classifier = words_classifier(load_encoder(model), LABELS, model=absolute_spec(model))
    made = classify_by_words(corpus, LABELS, model)
    with (
        pytest.raises(KeyboardInterrupt),
        keeping(made.predictions, classifier, corpus, tmp_path),  # while another is scored beside
    ):
        raise KeyboardInterrupt
    kept = tmp_path / "stopped.json"
    body = json.loads(kept.read_text())
    assert sorted(body["videos"]) == sorted(video.video_id for video in corpus.videos)
    body["videos"]["odd/clip 1.mp4"]["predictions"][0]["end_s"] = 77.0  # shows that it is not made again
    for labels, ends in ((LABELS[1:], []), (LABELS, ["odd/clip 1.mp4"])):
        kept.write_text(json.dumps(body))
        again = classify_by_words(corpus, labels, model, keep=tmp_path).predictions
        assert [video.video_id for video in again.videos if video.end_s == 77.0] == ends
        assert not kept.exists()


@pytest.mark.parametrize(
    ("labels", "prompts", "message"),
    [
        (["a dog"], PROMPTS, "must be two or more"),
        (["a dog", "a dog"], PROMPTS, "none of them twice"),
        (["a dog", " "], PROMPTS, "or empty"),
        (["a dog", "a person"], ["a video"], "prompt 'a video': must have {} where the label goes"),
    ],
)
def test_words_that_make_no_classifier_are_refused(labels, prompts, message, fetched):
    with pytest.raises(ConfigError, match=message):
        words_classifier(load_encoder(fetched("hf:tiny/clip")), labels, prompts)


def test_an_encoder_without_texts_is_refused(tiny_run):
    with pytest.raises(ConfigError, match="has no text tower"):
        words_classifier(load_encoder(tiny_run.path), LABELS)
