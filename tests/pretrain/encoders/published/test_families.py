"""Tiny networks of each family, loaded through the real code, beside their own library's computation."""

import json
import shutil
import socket

import numpy as np
import pytest
import torch
from PIL import Image

from sora_video.base.errors import ConfigError, RunError
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.published.backbone import BACKBONE
from sora_video.pretrain.encoders.published.fetch import fetch_model
from sora_video.pretrain.encoders.published.listing import known_models
from sora_video.pretrain.encoders.registry import build_encoder
from tests.tiny_models import TINY

VIDEO = ("hf:tiny/vjepa2", "hf:tiny/videomae", "hf:tiny/xclip")
FIXED = (*VIDEO, "hf:tiny/clip", "hf:tiny/siglip", "timm:tiny/vit", "open_clip:tiny/clip")


def own_embedding(spec, network, frames):
    """What a library computes of (T, 3, H, W) standardised frames of one slice."""
    kind = spec.rpartition("/")[2]
    with torch.inference_mode():
        if spec.startswith("open_clip"):
            return network.encode_image(frames).mean(0)
        if spec.startswith("timm"):
            return network.forward_head(network.forward_features(frames), pre_logits=True).mean(0)
        if kind == "vjepa2":
            tokens = network(pixel_values_videos=frames[None], skip_predictor=True).last_hidden_state
            return tokens.mean(1)[0]
        if kind == "videomae":
            return network(pixel_values=frames[None]).last_hidden_state.mean(1)[0]
        if kind == "xclip":
            return network.get_video_features(pixel_values=frames[None]).pooler_output[0]
        if kind in ("clip", "siglip"):
            return network.get_image_features(pixel_values=frames).pooler_output.mean(0)
        return network(pixel_values=frames).last_hidden_state[:, 0].mean(0)


FEW = [
    pytest.param(
        spec, marks=() if spec in {"hf:tiny/clip", "hf:tiny/vjepa2", "timm:tiny/vit"} else pytest.mark.slow
    )
    for spec in TINY
]
"""A model of frames, one of video, and one of another library; the others take long together."""


@pytest.mark.parametrize("spec", FEW)
def test_embeddings_are_those_of_the_library(spec, tiny_model, fetched):
    encoder = load_encoder(fetched(spec))
    clips = torch.rand(1, 3, 4, 32, 32)
    standard = ((clips - encoder.network.mean) / encoder.network.std)[0].transpose(0, 1)
    expected = own_embedding(spec, tiny_model(spec)[1], standard)
    with torch.inference_mode():
        features = encoder.network(clips).features[0]
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    assert encoder.dim == len(features)


PROCESSORS = {
    "hf:tiny/clip": "CLIPImageProcessor",
    "hf:tiny/siglip": "SiglipImageProcessor",
    "hf:tiny/dinov3": "DINOv3ViTImageProcessor",
    "hf:tiny/xclip": "VideoMAEImageProcessor",
}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(spec, marks=() if spec in {"hf:tiny/clip", "hf:tiny/dinov3"} else pytest.mark.slow)
        for spec in PROCESSORS
    ],
)
def test_pixels_are_those_of_the_librarys_processor(spec, tiny_model, fetched, tmp_path, write_video):
    """A film without fine detail, so that two ways of scaling differ by rounding alone."""
    import transformers

    from sora_video.pretrain.video.decode import open_video
    from sora_video.pretrain.video.read import picture_of

    rows, columns = np.mgrid[:72, :108]
    film = np.stack([rows * 3, columns * 2, rows + columns], -1).clip(0, 255).astype(np.uint8)
    path = write_video(tmp_path / "slopes.mp4", [film] * 3, pix_fmt="yuv444p")
    encoder = load_encoder(fetched(spec))
    seen = open_video(path, picture_of(encoder.config.slice)).frames(np.array([1]))[0]
    whole = open_video(path, (72, 108)).frames(np.array([1]))[0]
    processor = getattr(transformers, PROCESSORS[spec]).from_pretrained(tiny_model(spec)[0])
    expected = processor([Image.fromarray(whole)], return_tensors="pt").pixel_values.reshape(3, 32, 32)
    pixels = torch.from_numpy(seen).permute(2, 0, 1)[None, :, None] / 255
    found = ((pixels - encoder.network.mean) / encoder.network.std)[0, :, 0]
    assert (found - expected).abs().max() * encoder.network.std.max() < 4 / 255


@pytest.mark.parametrize("spec", TINY)
def test_what_is_written_down_is_the_same_anywhere(spec, tiny_model, fetched, tmp_path):
    folder = fetched(spec).partition("@")[2]
    described = json.loads((shutil.copytree(folder, tmp_path / "moved") / BACKBONE).read_text())
    assert load_encoder(f"{spec}@{tmp_path / 'moved'}").fingerprint == described["fingerprint"]
    assert described["licence"] == "apache-2.0"
    assert str(tiny_model(spec)[0]) not in json.dumps(described)
    assert described["slice"]["size"] == 32


def test_the_pixels_are_described(fetched):
    clip = load_encoder(fetched("hf:tiny/clip")).config
    assert (clip.slice.resize, clip.slice.interpolation, clip.slice.frames) == (36, "bicubic", 4)
    assert clip.encoder.mean[0] == pytest.approx(0.48145466)
    assert load_encoder(fetched("hf:tiny/siglip")).config.slice.resize is None
    vjepa = load_encoder(fetched("hf:tiny/vjepa2")).config.slice
    assert (vjepa.frames, vjepa.fps, vjepa.resize, vjepa.interpolation) == (4, 4.0, 36, "bilinear")
    timm = load_encoder(fetched("timm:tiny/vit")).config.slice
    assert (timm.resize, timm.interpolation) == (35, "bicubic")


@pytest.mark.parametrize("spec", FIXED)
def test_a_size_that_positions_do_not_have_is_refused(spec, tiny_model, tmp_path):
    settings = {"slice": {"size": 48, "resize": None}}
    with pytest.raises(ConfigError, match=r"slice\.size=48: .* leave slice\.size at 32"):
        fetch_model(spec, tmp_path / "out", settings, tiny_model(spec)[0])


@pytest.mark.parametrize("spec", VIDEO)
def test_a_number_of_frames_that_positions_do_not_have_is_refused(spec, tiny_model, tmp_path):
    with pytest.raises(ConfigError, match=r"slice\.frames=6: .* leave slice\.frames at 4"):
        fetch_model(spec, tmp_path / "out", {"slice": {"frames": 6}}, tiny_model(spec)[0])


@pytest.mark.parametrize("spec", ["hf:tiny/dinov2", "hf:tiny/dinov3"])
def test_mean_and_motion_of_the_patches_are_pooled(spec, tiny_model, tmp_path):
    settings = {
        "encoder": {"pool": "mean+motion", "depths": [0, 1]},
        "slice": {"size": 48, "resize": None, "frames": 3},
    }
    fetch_model(spec, tmp_path / "out", settings, tiny_model(spec)[0])
    encoder = load_encoder(f"{spec}@{tmp_path / 'out'}")
    assert encoder.dim == 4 * 32
    clips = torch.rand(1, 3, 3, 48, 48)
    own, frames = tiny_model(spec)[1], ((clips - encoder.network.mean) / encoder.network.std)[0]
    with torch.inference_mode():
        features = encoder.network(clips).features[0]
        states = own(pixel_values=frames.transpose(0, 1), output_hidden_states=True).hidden_states[1]
    patches = states[:, -9:]
    mean, motion = patches.mean((0, 1)), patches.diff(dim=0).abs().mean((0, 1))
    torch.testing.assert_close(features[:32], mean / mean.norm(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features[64:96], motion / motion.norm(), rtol=1e-4, atol=1e-5)


def test_nothing_but_fetching_reaches_for_the_network(tiny_model, tmp_path, monkeypatch, videos):
    reached = []

    def refuse(*address):
        reached.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for spec in ("hf:tiny/clip", "hf:tiny/vjepa2", "timm:tiny/vit", "open_clip:tiny/clip"):
        folder = tmp_path / spec.replace("/", "-")
        fetch_model(spec, folder, given=tiny_model(spec)[0])
        encoder = load_encoder(f"{spec}@{folder}")
        encoder.embed(videos, progress=False)
        if spec.endswith("clip"):
            encoder.embed_text(["a dog runs"])
    assert reached == []
    with pytest.raises(ConfigError, match="cannot be fetched: "):
        fetch_model("hf:tiny/absent", tmp_path / "absent")
    assert reached


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), ConfigError, r"config\.json is missing"),
        (lambda folder: (folder / "model.safetensors").unlink(), ConfigError, r"no weights as \.safetensors"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), ConfigError, "is not written down"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"no"), RunError, "cannot be read"),
        (
            lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'),
            ConfigError,
            "model_type='bert' of its config is not known here; choose an encoder of vjepa2, videomae",
        ),
    ],
)
def test_a_folder_that_is_no_encoder_is_one_line(change, error, message, tiny_model, tmp_path):
    given = shutil.copytree(tiny_model("hf:tiny/dinov2")[0], tmp_path / "given")
    change(given)
    with pytest.raises(error, match=message) as refused:
        fetch_model("hf:tiny/dinov2", tmp_path / "out", given=given)
    assert "\n" not in str(refused.value)


CONFIGS = {
    "hf:tiny/clip": ("config.json", "vision_config", "hidden_size", "wide"),
    "hf:tiny/dinov2": ("config.json", None, "hidden_size", 33),
    "timm:tiny/vit": ("config.json", None, "pretrained_cfg", 3),
    "open_clip:tiny/clip": ("open_clip_config.json", "model_cfg", "text_cfg", None),
}
"""A setting that no network can be built by: its file, section, key, and value; None: it is missing."""


@pytest.mark.parametrize("spec", CONFIGS)
def test_a_config_of_no_network_is_one_line(spec, tiny_model, tmp_path):
    name, section, key, value = CONFIGS[spec]
    given = shutil.copytree(tiny_model(spec)[0], tmp_path / "given")
    config = json.loads((given / name).read_text())
    changed = config[section] if section else config
    changed[key] = value
    if value is None:
        del changed[key]
    (given / name).write_text(json.dumps(config))
    with pytest.raises((ConfigError, RunError), match=f"{spec}.*; ") as refused:
        fetch_model(spec, tmp_path / "out", given=given)
    assert "\n" not in str(refused.value)


def test_weights_that_are_missing_are_not_drawn_at_random(tiny_model, tmp_path):
    from safetensors.torch import load_file, save_file

    given = shutil.copytree(tiny_model("hf:tiny/dinov2")[0], tmp_path / "given")
    weights = load_file(given / "model.safetensors")
    del weights["layernorm.weight"]
    save_file(weights, given / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RunError, match=r"weight layernorm\.weight is missing"):
        fetch_model("hf:tiny/dinov2", tmp_path / "out", given=given)


def test_code_and_pickles_stay_behind(tiny_model, tmp_path):
    given = shutil.copytree(tiny_model("hf:tiny/dinov2")[0], tmp_path / "given")
    for name in ("pytorch_model.bin", "modeling_tiny.py", "training_args.pth"):
        (given / name).write_bytes(b"import os")
    fetch_model("hf:tiny/dinov2", tmp_path / "out", given=given)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert not {name for name in names if name.endswith((".bin", ".py"))}


def test_a_state_dict_of_timm_is_taken(tiny_model, fetched, tmp_path):
    given, network = tiny_model("timm:tiny/vit")
    copied = shutil.copytree(given, tmp_path / "given")
    (copied / "model.safetensors").unlink()
    torch.save(network.state_dict(), copied / "weights.pth")
    fetch_model("timm:tiny/vit", tmp_path / "out", given=copied)
    loaded = load_encoder(f"timm:tiny/vit@{tmp_path / 'out'}").network.state_dict()
    for name, weight in load_encoder(fetched("timm:tiny/vit")).network.state_dict().items():
        torch.testing.assert_close(loaded[name], weight, msg=name)


def test_pixels_that_are_scaled_otherwise_are_refused(tiny_model, tmp_path):
    given = shutil.copytree(tiny_model("hf:tiny/dinov2")[0], tmp_path / "given")
    settings = json.loads((given / "preprocessor_config.json").read_text())
    (given / "preprocessor_config.json").write_text(json.dumps({**settings, "rescale_factor": 1 / 127.5}))
    with pytest.raises(ConfigError, match=r"scales pixels by 0\.0078.*; only by 1/255 can be taken"):
        fetch_model("hf:tiny/dinov2", tmp_path / "out", given=given)


def test_well_known_ones_are_listed():
    rows = {row.model: row for row in known_models()}
    assert rows["hf:facebook/vjepa2-vitl-fpc64-256"].input == "64 x 256 x 256"
    assert rows["hf:MCG-NJU/videomae-base"].licence == "CC-BY-NC-4.0"
    assert all(rows[f"hf:{name}"].megabytes > 50 for name in ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K",))
    assert {row.model.partition(":")[0] for row in rows.values()} >= {
        "hf",
        "timm",
        "open_clip",
        "torchvision",
    }
    assert rows["open_clip:laion/CLIP-ViT-B-32-laion2B-s34B-b79K"].here == "fetch it"


@pytest.mark.parametrize("spec", FEW)
def test_activations_can_be_recomputed(spec, fetched):
    config = load_encoder(fetched(spec)).config.encoder
    plain, saving = (
        build_encoder(config.model_copy(update={"checkpoint": each}), 0) for each in (False, True)
    )
    clips = torch.rand(1, 3, 4, 32, 32)
    gradients = []
    for network in (plain.eval(), saving.eval()):
        network(clips).features.square().sum().backward()
        gradients.append([weight.grad for weight in network.parameters()])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=0)
    assert list(saving.state_dict()) == list(plain.state_dict())


def test_a_size_that_only_the_network_refuses_is_one_line(tiny_model, tmp_path):
    given = shutil.copytree(tiny_model("timm:tiny/vit")[0], tmp_path / "given")
    config = json.loads((given / "config.json").read_text())
    config["pretrained_cfg"]["fixed_input_size"] = False
    (given / "config.json").write_text(json.dumps(config))
    settings = {"slice": {"size": 48, "resize": None}}
    with pytest.raises(ConfigError, match=r"slice\.size=48: vit_tiny_patch16_224 does not take it"):
        fetch_model("timm:tiny/vit", tmp_path / "out", settings, given)


@pytest.mark.parametrize("spec", ["hf:tiny/vjepa2", "hf:tiny/clip"])
def test_a_run_that_started_from_it_needs_it_no_more(spec, tiny_model, tmp_path, sora, videos):
    folder, run = tmp_path / "models", tmp_path / "run"
    fetch_model(spec, folder, given=tiny_model(spec)[0])
    small = (
        "slice.per_video=2",
        "optim.epochs=1",
        "optim.batch_size=4",
        "data.workers=0",
        "optim.precision=fp32",
    )
    code, said = sora("pretrain", videos, "--out", run, "--init", f"{spec}@{folder}", *small)
    assert code == 0, said
    shutil.rmtree(folder)
    assert len(load_encoder(run).embed(videos, progress=False)) > 0
