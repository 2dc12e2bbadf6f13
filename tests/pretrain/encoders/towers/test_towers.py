"""Text towers, and the file that a run keeps one in."""

import shutil

import numpy as np
import pytest
import torch

from sora_video.base.errors import ConfigError, RunError
from sora_video.configs.loader import load_config
from sora_video.index.build import build_library
from sora_video.index.example import Example, query_by_example
from sora_video.index.library import Library
from sora_video.index.localize import localize
from sora_video.pretrain.encoders.export.export import export_encoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.towers.ngrams import ngrams, words_of
from sora_video.pretrain.encoders.towers.tower import build_tower
from sora_video.pretrain.training.loop import pretrain_encoder


@pytest.fixture(scope="module")
def manifest(videos, tmp_path_factory):
    """The shared videos with a text each."""
    path = tmp_path_factory.mktemp("manifest") / "films.csv"
    lines = [f"{film},square {film.stem}" for film in sorted(videos.rglob("*.mp4"))]
    path.write_text("\n".join(["path,text", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def worded(manifest, make_config, tmp_path_factory):
    """A finished run with a text tower; not to be changed."""
    settings = ("text.column=text", "text.width=32", "text.buckets=256", "optim.epochs=1")
    return pretrain_encoder(manifest, tmp_path_factory.mktemp("worded") / "run", make_config(*settings))


def tower_of(*overrides, dim=8, seed=0):
    return build_tower(load_config(None, ["text.column=text", *overrides]).text, dim, seed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Bin BLUE, at 2!", ["bin", "blue", "at", "2"]),
        ("กิจกรรม", ["กิจกรรม"]),  # its vowel signs are marks, and stay within the word
        ("ﬁne Ⅳ", ["fine", "iv"]),
        ("?!", ["?!"]),
        ("\t", ["\t"]),
    ],
)
def test_texts_fall_into_words(text, words):
    assert words_of(text) == words


def test_a_word_has_its_groups_of_three_to_six_characters():
    assert len(ngrams("blue", 2**14)) == 1 + 4 + 3 + 2 + 1
    assert ngrams("a", 2**14) != ngrams("b", 2**14)
    assert set(ngrams("blue", 300)) <= set(range(300))
    assert len(set(ngrams("walking", 2**20)) & set(ngrams("walked", 2**20))) > 5
    assert ngrams("blue", 2**32)[0] == 2198292117  # the same in every process, and in stored runs


@pytest.mark.parametrize("layers", [0, 2])
def test_texts_of_a_batch_do_not_disturb_each_other(layers):
    tower = tower_of(f"text.layers={layers}", "text.words=4")
    texts = ["a", "a long sentence of many words", "two words"]
    together = tower(texts)
    assert together.shape == (3, 8)
    for text, row in zip(texts, together, strict=True):
        torch.testing.assert_close(tower([text])[0], row, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(tower(["a long sentence of"])[0], together[1], atol=1e-6, rtol=1e-4)


def test_layers_know_the_order_of_words():
    texts = ["dog bites man", "man bites dog"]
    ordered, bag = tower_of()(texts), tower_of("text.layers=0", "text.words=3")
    assert (ordered[0] - ordered[1]).abs().max() > 1e-4
    with torch.no_grad():
        bag.places.zero_()
    unordered = bag(texts)
    torch.testing.assert_close(unordered[0], unordered[1])


def test_weights_are_a_function_of_the_seed_and_the_temperature_is_bounded():
    before = torch.random.get_rng_state()
    first, same, other = (tower_of(seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.project.weight, same.project.weight)
    assert not torch.equal(first.project.weight, other.project.weight)
    assert first.temperature.item() == pytest.approx(0.07)
    with torch.no_grad():
        first.scale.fill_(9)
    first.bound()
    assert first.temperature.item() == pytest.approx(0.01)


def test_a_library_is_searched_by_the_words_of_a_run(worded, videos, tmp_path):
    build_library(tmp_path / "library", videos, worded.path)
    library = Library.open(tmp_path / "library")
    hits = localize(library, query_by_example(library, Example("text:square clip 3"), top=8))
    (text,) = load_encoder(worded.path).embed_text(["square clip 3"])
    best = {name: float((library.embeddings(name).vectors @ text).max()) for name in library.videos()}
    assert [hit.video_id for hit in hits] == sorted(best, key=best.get, reverse=True)
    np.testing.assert_allclose([hit.cosine for hit in hits], sorted(best.values())[::-1], atol=1e-5)


def test_the_command_line_takes_the_words_of_a_run(worded, videos, tmp_path, sora):
    assert sora("index", "build", tmp_path / "library", videos, "--model", worded.path)[0] == 0
    code, printed = sora("search", tmp_path / "library", "--text", "square clip 3", "--json")
    assert code == 0
    assert "clip" in printed
    labels = ("--label", "square clip 1", "--label", "square clip 2", "--prompt", "{}")
    out = tmp_path / "timeline"
    code, printed = sora("classify", "words", videos, *labels, "--model", worded.path, "--out", out)
    assert code == 0
    assert out.exists()


def test_an_exported_folder_keeps_the_words(worded, tmp_path):
    export_encoder(worded.path, tmp_path / "out", "hf")
    first, second = (load_encoder(path).embed_text(["a square"]) for path in (worded.path, tmp_path / "out"))
    np.testing.assert_array_equal(first, second)


def test_a_tower_that_is_missing_damaged_or_of_another_encoder_is_refused(worded, tmp_path):
    copy = shutil.copytree(worded.path, tmp_path / "run")
    file = copy / "words.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[:-8] + bytes(8))
    with pytest.raises(
        RunError, match=r"words\.safetensors, config or .* edited: they do not fit the checksum"
    ):
        load_encoder(copy).embed_text(["a square"])
    file.write_bytes(data[:100])
    with pytest.raises(RunError, match=r"words\.safetensors is damaged"):
        load_encoder(copy).embed_text(["a square"])
    file.unlink()
    assert load_encoder(copy).dim == 32  # the encoder does not need it
    with pytest.raises(RunError, match=r"words\.safetensors is missing; restore it"):
        load_encoder(copy).embed_text(["a square"])


def test_a_published_tower_is_kept_and_a_projection_learns(manifest, make_config, fetched, tmp_path):
    model = fetched("hf:tiny/clip")
    settings = ("text.column=text", "text.name=published", f"text.model={model}", "optim.epochs=1")
    run = pretrain_encoder(manifest, tmp_path / "run", make_config(*settings))
    encoder = load_encoder(run.path)
    assert encoder.embed_text(["a dog", "a person falls"]).shape == (2, encoder.dim)
    names = set(encoder.words.tower.state_dict())
    assert names == {"scale", "project.weight", "project.bias"}
    words = torch.nn.functional.normalize(load_encoder(model).words.embed(["a dog"]), dim=1)
    expected = torch.nn.functional.normalize(encoder.words.tower.project(words), dim=1)
    np.testing.assert_allclose(encoder.embed_text(["a dog"]), expected.detach(), atol=1e-6)


def test_a_published_tower_must_be_one_that_has_texts(fetched, tiny_run):
    with pytest.raises(ConfigError, match="has no text tower"):
        tower_of("text.name=published", f"text.model={fetched('hf:tiny/dinov2')}")
    with pytest.raises(ConfigError, match=r"^text\.model=.*: must be one published encoder"):
        tower_of("text.name=published", f"text.model={tiny_run.path}")
