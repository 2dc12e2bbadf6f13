"""A text tower that learns beside the encoder: its loss, and runs with and without it."""

import csv
import math

import numpy as np
import pytest
import torch

from sora_video.base.errors import ConfigError, RunError, Stopped
from sora_video.configs.loader import load_config
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.texts import Described, contrast_texts, read_texts
from sora_video.pretrain.video.corpus import open_corpus
from tests.pretrain.training.stops import finish_stepwise

TOWER = ("text.width=32", "text.buckets=256")
COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (40, 60, 220)}


def slow_contrast(slices, texts, codes, temperature):
    """Both directions for each aspect, slice by slice and text by text, in NumPy."""
    features, present, video, code = (column.numpy() for column in slices)
    texts, codes = texts.numpy() / np.linalg.norm(texts.numpy(), axis=1, keepdims=True), codes.tolist()
    losses = []
    for aspect in range(features.shape[1]):
        rows = [row for row in range(len(code)) if present[row, aspect] and code[row] >= 0]
        near = {
            (row, text): features[row, aspect] @ texts[number] / np.linalg.norm(features[row, aspect])
            for row in rows
            for number, text in enumerate(codes)
        }
        scores = {pair: math.exp(cosine / temperature) for pair, cosine in near.items()}
        spoken = {(row, text) for row in range(len(code)) for text in codes if code[row] == text}
        of_file = {
            (row, text)
            for row in rows
            for text in codes
            if any((other, text) in spoken and video[other] == video[row] for other in range(len(code)))
        }
        for axis in (0, 1):
            terms = []
            for pair, score in scores.items():
                others = [
                    scores[other] for other in scores if other[axis] == pair[axis] and other not in of_file
                ]
                if pair in spoken and others:
                    terms.append(-math.log(score / (score + sum(others))))
            losses += [np.mean(terms)] if terms else []
    return np.mean(losses)


@pytest.mark.parametrize("seed", range(6))
def test_the_loss_is_its_formula(seed):
    torch.manual_seed(seed)
    code = torch.randint(-1, 4, (14,))
    code[:2] = torch.tensor([0, 1])
    slices = Described(
        torch.randn(14, 3, 5, dtype=torch.float64),
        torch.rand(14, 3) < 0.7,
        torch.randint(0, 9, (14,)),  # spans of one file have different texts
        code,
    )
    slices.present[:2] = True
    different = torch.unique(code[code >= 0])
    texts = torch.randn(len(different), 5, dtype=torch.float64)
    found = contrast_texts(slices, texts, different, 0.3)
    assert found.item() == pytest.approx(slow_contrast(slices, texts, different, 0.3), rel=1e-9)


def test_equal_texts_are_positives_of_each_other():
    features = torch.eye(3)[:, None]
    texts, everywhere = torch.eye(3)[:2], torch.ones(3, 1, dtype=torch.bool)
    slices = Described(features, everywhere, torch.arange(3), torch.tensor([0, 1, 0]))
    loss = contrast_texts(slices, texts, torch.tensor([0, 1]), 1.0).item()
    own, unlike = math.log(1 + math.exp(-1)), math.log(2)  # the third slice is as near to both texts
    assert loss == pytest.approx(
        (((2 * own + unlike) / 3) + ((own + unlike + math.log(2 + math.e) - 1) / 3)) / 2
    )


@pytest.mark.parametrize("code", [[-1, -1, -1], [0, 0, 0]])
def test_nothing_to_tell_apart_is_no_loss(code):
    code = torch.tensor(code)
    features = torch.randn(3, 1, 4, requires_grad=True)
    slices = Described(features, torch.ones(3, 1, dtype=torch.bool), torch.arange(3), code)
    different = torch.unique(code[code >= 0])
    loss = contrast_texts(slices, torch.randn(len(different), 4), different, 0.1)
    loss.backward()
    assert loss == 0
    assert not features.grad.any()


@pytest.fixture(scope="module")
def coloured(tmp_path_factory, write_video):
    """A manifest of 19 films of one colour and brightness each; the texts of all but one name the colour."""
    root = tmp_path_factory.mktemp("coloured")
    rows = []
    for number in range(18):
        name = list(COLOURS)[number % 3]
        level = 0.6 + 0.05 * (number // 3)
        picture = np.full((48, 64, 3), np.array(COLOURS[name]) * level, np.uint8)
        write_video(root / f"{number}.mp4", [picture] * 30)
        rows.append({"path": f"{number}.mp4", "text": f"a {name} film", "label": name, "same": "a film"})
    write_video(root / "silent.mp4", [np.full((48, 64, 3), 100, np.uint8)] * 30)
    rows.append({"path": "silent.mp4", "text": "", "label": "", "same": ""})
    with (root / "films.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root / "films.csv"


@pytest.fixture(scope="module")
def config_of(make_config):
    """A function from overrides to the config of a run on ``coloured``, whose views keep colours."""
    plain = ("encoder.input=rgb", "augment.jitter=0", "augment.grey=0", "optim.batch_size=9")
    return lambda *overrides: make_config(*plain, *TOWER, "text.column=text", *overrides)


@pytest.fixture(scope="module")
def learnt(coloured, config_of, tmp_path_factory):
    """A finished run on ``coloured``."""
    settings = ("optim.epochs=30", "optim.lr=0.003", "text.weight=2")
    return pretrain_encoder(coloured, tmp_path_factory.mktemp("learnt") / "run", config_of(*settings))


def test_a_run_learns_to_match_texts(learnt, coloured):
    encoder = load_encoder(learnt.path)
    embeddings, texts = encoder.embed(coloured), [f"a {name} film" for name in COLOURS]
    vectors = encoder.embed_text(texts)
    assert vectors.shape == (3, encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    nearest = (embeddings.vectors @ vectors.T).argmax(1)
    named = {video.video_id: video.columns.get("text") for video in open_corpus(coloured).videos}
    right = [
        texts[text] == named[name]
        for name, text in zip(embeddings.video_id, nearest, strict=True)
        if named[name]
    ]
    assert np.mean(right) > 0.9
    log = learnt.log()
    assert log[-1]["text_loss"] < 0.5 < log[0]["text_loss"]
    assert encoder.words.temperature == pytest.approx(learnt.metrics()["texts"]["temperature"])


def test_words_that_were_never_seen_are_embedded(learnt):
    encoder = load_encoder(learnt.path)
    vectors = encoder.embed_text(
        ["a red film", "A  RED film!", "the reddish one", "ผ้าแดง", "?!", "green " * 500]
    )
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)


def test_the_card_says_what_was_learnt_of_texts(learnt):
    card = (learnt.path / "README.md").read_text()
    assert "| texts | a text tower, ngrams, " in card
    assert "it saw 3 different texts of 18 rows (column text, weight 2) |" in card


@pytest.mark.parametrize(
    "off", [["text.weight=0"], pytest.param(["text.column=null", "text.weight=0"], marks=pytest.mark.slow)]
)
def test_without_weight_a_run_is_what_it_was(off, coloured, config_of, make_config, tmp_path):
    plain = (
        "encoder.input=rgb",
        "augment.jitter=0",
        "augment.grey=0",
        "optim.batch_size=9",
        "optim.epochs=2",
    )
    before = pretrain_encoder(coloured, tmp_path / "before", make_config(*plain))
    without = pretrain_encoder(coloured, tmp_path / "without", config_of("optim.epochs=2", *off))
    weights, others = before.load_weights(), without.load_weights()
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())
    assert [line["loss"] for line in before.log()] == [line["loss"] for line in without.log()]
    assert before.metrics()["fingerprint"] == without.metrics()["fingerprint"]
    assert not (without.path / "words.safetensors").exists()
    with pytest.raises(ConfigError, match="has no text tower"):
        load_encoder(without.path).embed_text(["a red film"])


@pytest.mark.parametrize(
    "method",
    [
        ["method.name=moco", "method.queue=16"],
        pytest.param(["method.name=simclr"], marks=pytest.mark.slow),
    ],
)
def test_a_run_that_was_stopped_after_each_step_is_the_unbroken_one(coloured, config_of, tmp_path, method):
    config = config_of("optim.epochs=2", *method)
    unbroken = pretrain_encoder(coloured, tmp_path / "unbroken", config)
    resumed, _ = finish_stepwise(coloured, tmp_path / "run", config)
    for name in ("loss", "text_loss", "gradient"):
        assert [line[name] for line in resumed.log()] == [line[name] for line in unbroken.log()]
    first, second = (load_encoder(run.path).embed_text(["a blue film"]) for run in (unbroken, resumed))
    np.testing.assert_array_equal(first, second)


def test_a_resume_with_other_texts_is_refused(coloured, config_of, tmp_path):
    with pytest.raises(Stopped):
        pretrain_encoder(coloured, tmp_path / "run", config_of(), max_minutes=0)
    changed = coloured.with_name("changed.csv")
    changed.write_text(coloured.read_text().replace("a red film", "a crimson film"))
    with pytest.raises(RunError, match=r"the texts of .* changed since it was started; restore them"):
        pretrain_encoder(changed, tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (
            "words",
            r"^text\.column=words: no video of .* a text there; columns with texts are label, same, text$",
        ),
        (
            "same",
            r"^text\.column=same: .* has one text, 'a film', and nothing to tell it from; name a column ",
        ),
    ],
)
def test_a_corpus_without_texts_is_one_line_and_leaves_no_folder(coloured, config_of, tmp_path, column, said):
    with pytest.raises(ConfigError, match=said):
        pretrain_encoder(coloured, tmp_path / "run", config_of(f"text.column={column}"))
    assert not (tmp_path / "run").exists()


def test_a_folder_has_no_texts(videos, make_config):
    with pytest.raises(ConfigError, match=r"text\.column=text: no video of .* name a manifest that has one$"):
        read_texts(open_corpus(videos), make_config("text.column=text"))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["text.weight=2"], r"^text\.weight=2\.0: needs text\.column, "),
        (["text.width=64"], r"^text\.width=64: needs text\.column, "),
        (["text.name=published", "text.model=hf:a/b"], r"^text\.name=published: needs text\.column, "),
        (["text.column=text", "text.widht=64"], r"^text\.widht=64: ngrams has no such setting; "),
        (["text.column=text", "text.weight=-1"], r"^text\.weight=-1: "),
        (["text.column=text", "text.name=clip"], r"^text\.name='clip': is not known; choose one of ngrams, "),
    ],
)
def test_settings_of_texts_are_checked(overrides, said):
    with pytest.raises(ConfigError, match=said) as refused:
        load_config(None, overrides)
    assert "\n" not in str(refused.value)


def test_texts_are_learnt_by_each_sense(heard_videos, make_config, tmp_path):
    manifest = tmp_path / "heard.csv"
    lines = [f"{heard_videos}/clip {number}.mp4,tone {number}" for number in range(8)]
    manifest.write_text("\n".join(["path,text", *lines]) + "\n")
    sound = ("encoder.name=sora_av", "encoder.av.dim=16", "encoder.av.mels=16", "optim.epochs=1")
    run = pretrain_encoder(manifest, tmp_path / "run", make_config(*sound, *TOWER, "text.column=text"))
    both, heard = load_encoder(run.path), load_encoder(run.path, by="sound")
    assert heard.embed(heard_videos).vectors.shape[1] == heard.embed_text(["tone 1"]).shape[1] == both.dim
    assert run.log()[-1]["text_loss"] > 0
