"""Texts in the space of slices, beside the computation of each library; the networks are tiny and random."""

import shutil

import numpy as np
import pytest
import torch

from sora_video.base.errors import ConfigError
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.published.fetch import fetch_model

TEXTS = ["a person falls", "a dog runs"]
IDS = torch.tensor([[3, 5, 7, 2], [3, 6, 8, 2]])
"""Of the words of the tiny tokenizer, and its end of a text."""


def own_words(spec, network):
    """What a library computes of the texts, and its temperature."""
    with torch.inference_mode():
        if spec.startswith("open_clip"):
            from open_clip import SimpleTokenizer

            return network.encode_text(SimpleTokenizer(context_length=16)(TEXTS))
        ids = torch.nn.functional.pad(IDS, (0, 12)) if spec.endswith("siglip") else IDS
        return network.get_text_features(input_ids=ids).pooler_output


@pytest.mark.parametrize("spec", ["hf:tiny/clip", "hf:tiny/siglip", "hf:tiny/xclip", "open_clip:tiny/clip"])
def test_texts_are_embedded_as_the_library_does(spec, tiny_model, fetched):
    encoder, network = load_encoder(fetched(spec)), tiny_model(spec)[1]
    embedded = encoder.embed_text(TEXTS)
    expected = torch.nn.functional.normalize(own_words(spec, network), dim=1)
    np.testing.assert_allclose(embedded, expected, rtol=1e-4, atol=1e-5)
    assert embedded.shape == (2, encoder.dim)
    assert encoder.words.temperature == pytest.approx(1 / network.logit_scale.exp().item())


def test_a_long_text_is_cut(fetched):
    encoder = load_encoder(fetched("hf:tiny/clip"))
    assert np.isfinite(encoder.embed_text(["dog " * 100])).all()


def test_joined_encoders_embed_texts_in_their_joint_space(fetched):
    clip, siglip = (fetched(f"hf:tiny/{name}") for name in ("clip", "siglip"))
    joined, encoders = load_encoder(f"{clip}*3+{siglip}*4"), [load_encoder(each) for each in (clip, siglip)]
    parts = [encoder.embed_text(TEXTS) for encoder in encoders]
    expected = np.concatenate([0.6 * parts[0], 0.8 * parts[1]], 1)
    np.testing.assert_allclose(joined.embed_text(TEXTS), expected, atol=1e-6)
    first, second = (1 / encoder.words.temperature for encoder in encoders)
    assert 1 / joined.words.temperature == pytest.approx(0.36 * first + 0.64 * second)
    with pytest.raises(ConfigError, match="has no text tower"):
        load_encoder(f"{clip}+{fetched('hf:tiny/dinov2')}").embed_text(TEXTS)


@pytest.mark.parametrize("spec", ["hf:tiny/dinov2", "hf:tiny/vjepa2", "timm:tiny/vit"])
def test_an_encoder_without_texts_is_refused_with_some_that_have(spec, fetched):
    with pytest.raises(ConfigError, match=rf"^model {spec}@.*: has no text tower; name .* hf:laion/CLIP"):
        load_encoder(fetched(spec)).embed_text(TEXTS)


def test_a_run_has_no_texts(tiny_run):
    with pytest.raises(ConfigError, match="model r3d_tiny: has no text tower"):
        load_encoder(tiny_run.path).embed_text(TEXTS)


def test_motion_leaves_the_space_of_texts(tiny_model, tmp_path):
    settings = {"encoder": {"pool": "mean+motion"}}
    fetch_model("hf:tiny/clip", tmp_path / "out", settings, tiny_model("hf:tiny/clip")[0])
    with pytest.raises(ConfigError, match=r"fetch it with encoder\.pool=mean"):
        load_encoder(f"hf:tiny/clip@{tmp_path / 'out'}").embed_text(TEXTS)


@pytest.mark.parametrize("texts", [[], [" "], "a dog"])
def test_texts_that_say_nothing_are_refused(texts, fetched):
    with pytest.raises(ConfigError, match="must be a list of texts"):
        load_encoder(fetched("hf:tiny/clip")).embed_text(texts)


def test_a_tokenizer_that_is_missing_is_one_line(tiny_model, tmp_path):
    given = shutil.copytree(tiny_model("hf:tiny/clip")[0], tmp_path / "given")
    for path in given.glob("tokenizer*"):
        path.unlink()
    fetch_model("hf:tiny/clip", tmp_path / "out", given=given)
    with pytest.raises(ConfigError, match="its tokenizer is missing") as refused:
        load_encoder(f"hf:tiny/clip@{tmp_path / 'out'}").embed_text(TEXTS)
    assert "\n" not in str(refused.value)
