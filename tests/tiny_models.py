"""Tiny networks of random weights, written as their own libraries publish them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SEEING = {**SMALL, "image_size": 32, "patch_size": 16}
WORDS = ["<pad>", "<unk>", "<eos>", "a", "of", "person", "dog", "falls", "runs", "video", "red", "green"]
READING = {
    **SMALL,
    "vocab_size": len(WORDS),
    "max_position_embeddings": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CARD = "---\nlicense: apache-2.0\n---\nRandom weights.\n"


def tiny_clip(folder: Path) -> Any:
    import transformers as hf

    both = {"projection_dim": 16}
    config = hf.CLIPConfig(text_config=READING | both, vision_config=SEEING | both, **both)
    write_tokenizer(folder)
    hf.CLIPImageProcessor(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}).save_pretrained(
        folder
    )
    return hf.CLIPModel(config)


def tiny_siglip(folder: Path) -> Any:
    import transformers as hf

    write_tokenizer(folder)
    hf.SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return hf.SiglipModel(hf.SiglipConfig(text_config=READING, vision_config=SEEING))


def tiny_dinov2(folder: Path) -> Any:
    import transformers as hf

    hf.BitImageProcessor(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}).save_pretrained(
        folder
    )
    return hf.Dinov2Model(hf.Dinov2Config(**SEEING | {"image_size": 64}))


def tiny_dinov3(folder: Path) -> Any:
    import transformers as hf

    hf.DINOv3ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return hf.DINOv3ViTModel(hf.DINOv3ViTConfig(**SEEING, num_register_tokens=2))


def tiny_videomae(folder: Path) -> Any:
    import transformers as hf

    hf.VideoMAEVideoProcessor(size={"shortest_edge": 32}, crop_size=32).save_pretrained(folder)
    return hf.VideoMAEModel(hf.VideoMAEConfig(**SEEING, num_frames=4))


def tiny_vjepa2(folder: Path) -> Any:
    import transformers as hf

    sizes = {"hidden_size": 24, "num_attention_heads": 2, "num_hidden_layers": 2, "patch_size": 16}
    predictor = {"pred_hidden_size": 24, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}
    config = hf.VJEPA2Config(crop_size=32, frames_per_clip=4, num_pooler_layers=1, **sizes, **predictor)
    hf.VJEPA2VideoProcessor(size={"shortest_edge": 36}, crop_size=32).save_pretrained(folder)
    return hf.VJEPA2Model(config)


def tiny_xclip(folder: Path) -> Any:
    import transformers as hf

    mixing = {"mit_hidden_size": 16, "mit_intermediate_size": 32, "mit_num_attention_heads": 2}
    vision = SEEING | mixing | {"num_frames": 4}
    config = hf.XCLIPConfig(
        text_config=READING, vision_config=vision, projection_dim=16, prompt_num_attention_heads=2
    )
    write_tokenizer(folder)
    hf.VideoMAEImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    ).save_pretrained(folder)
    return hf.XCLIPModel(config)


def tiny_timm(folder: Path) -> Any:
    from timm import create_model
    from timm.models import save_for_hf

    sizes = {"img_size": 32, "depth": 2, "embed_dim": 32, "num_heads": 2, "num_classes": 3}
    network = create_model("vit_tiny_patch16_224", **sizes)
    save_for_hf(network, folder, safe_serialization=True)
    return network


def tiny_open_clip(folder: Path) -> Any:
    from open_clip import CLIP
    from safetensors.torch import save_file

    vision = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    described = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    network = CLIP(**described)
    standard = {"mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    config = {"model_cfg": described, "preprocess_cfg": standard}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(network.state_dict(), folder / "open_clip_model.safetensors")
    return network


def write_tokenizer(folder: Path) -> None:
    """A tokenizer of whole words that ends each text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 2)])
    PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", unk_token="<unk>", eos_token="<eos>"
    ).save_pretrained(folder)


TINY = {
    "hf:tiny/clip": tiny_clip,
    "hf:tiny/siglip": tiny_siglip,
    "hf:tiny/dinov2": tiny_dinov2,
    "hf:tiny/dinov3": tiny_dinov3,
    "hf:tiny/videomae": tiny_videomae,
    "hf:tiny/vjepa2": tiny_vjepa2,
    "hf:tiny/xclip": tiny_xclip,
    "timm:tiny/vit": tiny_timm,
    "open_clip:tiny/clip": tiny_open_clip,
}
"""By model spec."""


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Any]]:
    """A function from a model spec to a folder as its library writes it, and the library's own network."""
    made: dict[str, tuple[Path, Any]] = {}

    def make(spec: str) -> tuple[Path, Any]:
        if spec not in made:
            folder = tmp_path_factory.mktemp("published")
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(len(made))
                network = TINY[spec](folder).eval()
            if spec.startswith("hf:"):
                network.save_pretrained(folder)
            (folder / "README.md").write_text(CARD)
            made[spec] = folder, network
        return made[spec]

    return make


@pytest.fixture(scope="session")
def fetched(tiny_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A function from a model spec to the same with the folder that it was fetched to."""
    from sora_video.pretrain.encoders.published.fetch import fetch_model

    made: dict[str, str] = {}

    def fetch(spec: str) -> str:
        if spec not in made:
            folder = tmp_path_factory.mktemp("models") / "one"
            fetch_model(spec, folder, given=tiny_model(spec)[0])
            made[spec] = f"{spec}@{folder}"
        return made[spec]

    return fetch
