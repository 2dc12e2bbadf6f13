"""Exported encoders embed as they did, read by onnxruntime, by torch alone, and by load_encoder."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torchvision.models.video.mvit import MSBlockConfig, MViT

from sora_video.base.errors import ConfigError, CorpusError, RunError
from sora_video.pretrain.encoders.export.export import export_encoder
from sora_video.pretrain.encoders.export.unpacked import unpack
from sora_video.pretrain.encoders.fingerprint import fingerprint
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.published.fetch import fetch_model
from sora_video.pretrain.encoders.weights import read_config, write_weights
from sora_video.pretrain.training.init import adopt
from sora_video.pretrain.video.corpus import open_corpus
from sora_video.pretrain.video.read import read_videos
from tests.tiny_models import TINY as TINY_MODELS

LITE = "package:efficientnet_lite0"
SMALL = ("encoder.width=4", "slice.size=32")
TINY = ("slice.frames=4", "slice.size=32")
TIME = "{cell: gru, layers: 2, bidirectional: true, attention: sigmoid, mix: true}"
QUICK = {
    "r3d_tiny": (
        *SMALL,
        "encoder.name=r3d_tiny",
        "encoder.input=both",
        "encoder.look_every=2",
        "encoder.depths=[2,4]",
        "encoder.cells=2",
        "encoder.checkpoint=true",
    ),
    "sora": (*SMALL, "encoder.name=sora", "encoder.time.bidirectional=true"),
    "lite0": (),
}
OTHERS = {
    "gru": (*SMALL, "encoder.name=sora", f"encoder.time={TIME}"),
    "resnet18": (*SMALL, "encoder.name=sora", "encoder.frame=resnet18"),
    "motion": (*TINY, "encoder.name=frames", "encoder.pool=mean+motion", "encoder.depths=[0,2]"),
    "sora_multiscale": (*SMALL, "encoder.name=sora_multiscale", "encoder.time.bidirectional=true"),
    "sora_av": (*SMALL, "encoder.name=sora_av", "encoder.av.fusion=attention"),
    "r3d_18": (*TINY, "encoder.name=r3d_18", "encoder.depths=[3,4]"),
    **{name: (*TINY, f"encoder.name={name}") for name in ("mvit_v2_s", "mvit_v1_b", "swin3d_t")},
    "s3d": ("slice.frames=8", "slice.size=64", "encoder.name=s3d"),
}
SHORT = {("r3d_tiny", "torch"), ("r3d_tiny", "onnx")}
CASES = [
    pytest.param(name, format, marks=() if (name, format) in SHORT else pytest.mark.slow)
    for name in (*QUICK, *OTHERS)
    for format in ("onnx", "torch")
]


@pytest.fixture(scope="module")
def spec(tmp_path_factory, untrained_run):
    """A function that gives the model spec of one of the encoders above."""
    folder = tmp_path_factory.mktemp("specs")

    def find(name):
        path = folder / name
        if name == "lite0":
            if not path.exists():
                fetch_model(LITE, path, {"slice": {"frames": 2, "fps": 2.0, "size": 64}})
            return f"{LITE}@{path}"
        return str(path if path.exists() else untrained_run(path, *{**QUICK, **OTHERS}[name]))

    return find


def run_onnx(folder):
    """What onnxruntime makes of a folder."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx")
    return lambda inputs: session.run(None, inputs)[0]


def run_torch(folder):
    """What torch makes of a folder."""
    module = torch.export.load(folder / "model.pt2").module()
    return lambda inputs: module(*map(torch.from_numpy, inputs.values())).numpy()


OPENED = {"onnx": run_onnx, "torch": run_torch}


@pytest.mark.parametrize(("name", "format"), CASES)
def test_a_program_embeds_batches_of_any_size_as_the_encoder(name, format, spec, heard_videos, tmp_path):
    checked = export_encoder(spec(name), tmp_path / "out", format, heard_videos / "clip 1.mp4")
    how = json.loads((tmp_path / "out" / "preprocessing.json").read_text())
    assert how["check"] == checked._asdict()
    encoder, film = load_encoder(spec(name), "cpu"), open_corpus(heard_videos / "clip 2.mp4")
    ((_, chunk),) = read_videos(film, encoder.config)
    assert checked.slices >= 4 + 2
    program, columns = OPENED[format](tmp_path / "out"), chunk.slices._asdict()
    ours = encoder.embed_slices(chunk.slices)
    for rows in (slice(0, 1), slice(0, len(ours))):
        inputs = {key: columns[key][rows] for key in how["inputs"]}
        for key, column in inputs.items():
            wanted = how["inputs"][key]
            assert (list(column.shape[1:]), str(column.dtype)) == (wanted["shape"][1:], wanted["dtype"])
        np.testing.assert_allclose(program(inputs), ours[rows], rtol=0, atol=1e-4)
    assert how["output"]["embeddings"]["shape"] == ["N", encoder.dim]


@pytest.mark.slow
@pytest.mark.parametrize("version", [1, 2])
def test_the_attention_of_mvits_is_exported_for_any_batch(version, tmp_path):
    """Two blocks in the ways of both versions; a whole MViT takes half a minute."""
    second = version == 2
    kernels, strides = [(3, 3, 3)] * 2, [[(1, stride, stride), (1, 4, 2)] for stride in (1, 2)]
    network = MViT(
        (32, 32),
        4,
        [MSBlockConfig(2, 32, 32, *kernels, *each) for each in strides],
        residual_pool=second,
        residual_with_cls_embed=not second,
        rel_pos_embed=second,
        proj_after_attn=second,
    ).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    clips = torch.rand(3, 3, 4, 32, 32)
    with torch.no_grad():
        expected = network(clips)
        unpack(network)
        torch.testing.assert_close(network(clips), expected, rtol=1e-4, atol=1e-4)
        axes = {"x": {0: torch.export.Dim("N")}}
        torch.onnx.export(
            torch.export.export(network, (clips[:2],), dynamic_shapes=axes),
            dynamic_shapes=axes,
            verbose=False,
        ).save(tmp_path / "model.onnx")
    found = run_onnx(tmp_path)({"x": clips.numpy()})
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "torch", "hf"])
@pytest.mark.parametrize("published", TINY_MODELS)
def test_published_encoders_of_every_family_are_exported(published, format, fetched, tmp_path):
    checked = export_encoder(fetched(published), tmp_path / "out", format)
    assert checked.slices == 4
    if format == "hf":
        assert load_encoder(tmp_path / "out").fingerprint == load_encoder(fetched(published)).fingerprint


@pytest.mark.slow
def test_programs_of_sound_hear(spec, heard_videos, tmp_path):
    export_encoder(spec("sora_av"), tmp_path / "out", "torch")
    encoder = load_encoder(spec("sora_av"), "cpu")
    ((_, chunk),) = read_videos(open_corpus(heard_videos / "clip 2.mp4"), encoder.config)
    program = run_torch(tmp_path / "out")
    heard = program(chunk.slices._asdict())
    silent = program({**chunk.slices._asdict(), "has_audio": np.zeros(len(heard), bool)})
    np.testing.assert_allclose(heard, encoder.embed_slices(chunk.slices), rtol=0, atol=1e-4)
    assert np.abs(heard - silent).max() > 1e-2


@pytest.mark.parametrize("name", ["r3d_tiny", "lite0"])
def test_a_folder_is_loaded_with_the_same_fingerprint(name, spec, videos, tmp_path):
    export_encoder(spec(name), tmp_path / "out", "hf")
    names = {"config.json", "model.safetensors", "preprocessing.json", "README.md"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    before, after = load_encoder(spec(name), "cpu"), load_encoder(tmp_path / "out", "cpu")
    assert after.fingerprint == before.fingerprint
    film = next(videos.rglob("*.mp4"))
    np.testing.assert_array_equal(
        after.embed(film, progress=False).vectors, before.embed(film, progress=False).vectors
    )
    how = json.loads((tmp_path / "out" / "preprocessing.json").read_text())
    settings = json.loads((tmp_path / "out" / "config.json").read_text())
    assert how["fingerprint"] == before.fingerprint
    assert {key: settings["slice"][key] for key in ("frames", "fps", "size", "resize")} == {
        key: how[key] for key in ("frames", "fps", "size", "resize")
    }
    assert (how["mean"], how["std"]) == (settings["encoder"]["mean"], settings["encoder"]["std"])


def test_the_licence_of_published_weights_goes_with_them(spec, untrained_run, tmp_path):
    export_encoder(spec("lite0"), tmp_path / "out", "hf")
    card = (tmp_path / "out" / "README.md").read_text()
    assert 'license: "Apache-2.0"' in card
    assert "trained on ImageNet by Google" in card
    assert load_encoder(tmp_path / "out", "cpu").fingerprint in card

    adopted = adopt({}, tmp_path / "out")["init"]
    assert adopted["licence"] == "Apache-2.0"
    settings = [f"init.{key}={json.dumps(value)}" for key, value in adopted.items()]
    run = untrained_run(tmp_path / "run", *SMALL, *settings)
    export_encoder(run, tmp_path / "again", "hf")
    card = (tmp_path / "again" / "README.md").read_text()
    assert "| Apache-2.0 of the weights that it started from |" in card
    assert f"started from {tmp_path / 'out'}" in card


def test_runs_of_the_first_version_keep_their_fingerprint(spec, tmp_path, pytestconfig):
    stored = pytestconfig.rootpath / "tests" / "examples" / "0.1.0" / "run"
    export_encoder(stored, tmp_path / "example", "hf")
    assert load_encoder(tmp_path / "example").fingerprint == load_encoder(stored).fingerprint
    assert (stored / "README.md").read_text() in (tmp_path / "example" / "README.md").read_text()

    run = shutil.copytree(spec("sora"), tmp_path / "first")
    renamed = {
        name.replace("time.cells.", "time.").replace("pool.score.", "score."): weight
        for name, weight in load_file(run / "model.safetensors").items()
    }
    config = read_config(run)
    write_weights(run, renamed, fingerprint(renamed, config.encoder, config.slice))
    export_encoder(run, tmp_path / "out", "hf")
    assert load_encoder(tmp_path / "out").fingerprint == load_encoder(run).fingerprint
    assert load_encoder(run).fingerprint != load_encoder(spec("sora")).fingerprint


def test_an_edited_folder_is_refused(spec, tmp_path):
    export_encoder(spec("r3d_tiny"), tmp_path / "out", "hf")
    path = tmp_path / "out" / "config.json"
    path.write_text(path.read_text().replace('"fps": 8.0', '"fps": 4.0'))
    with pytest.raises(RunError, match=r"model.safetensors or config.json is damaged or edited"):
        load_encoder(tmp_path / "out")


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(spec, tmp_path):
    run, out = spec("r3d_tiny"), tmp_path / "out"
    (tmp_path / "film.mp4").write_bytes(b"no film")
    for arguments, error, message in [
        ((f"{run}+{spec('sora')}", out, "hf"), ConfigError, "several encoders cannot be exported as one"),
        (
            (run, out, "tflite"),
            ConfigError,
            r"--format='tflite': is not known; choose one of onnx, torch, hf",
        ),
        ((run, tmp_path, "hf"), ConfigError, "exists already; choose another folder"),
        ((run, out, "hf", tmp_path / "film.mp4"), CorpusError, r"--check film.mp4: .*; leave it out"),
        ((tmp_path / "none", out, "hf"), RunError, "no run there"),
    ]:
        with pytest.raises(error, match=message):
            export_encoder(*arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


FORMATS_OF_ANOTHER_PACKAGE = """
from sora_video.pretrain.encoders.export.hf import Folder

class Wrong(Folder):
    def open(self, folder):
        embed = super().open(folder)
        return lambda slices: embed(slices) + 2e-4

class Untraceable(Folder):
    def write(self, encoder, weights, folder):
        raise TypeError("no such\\noperator")

class Absent(Folder):
    extra, modules = "absent", ("no_such_module",)
"""


@pytest.fixture
def _formats(tmp_path, monkeypatch):
    """An installed package with two formats."""
    metadata = tmp_path / "package" / "formats-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: formats\nVersion: 1.0\n")
    points = [f"{name.lower()} = odd_formats:{name}\n" for name in ("Wrong", "Untraceable", "Absent")]
    (metadata / "entry_points.txt").write_text("".join(["[sora_video.formats]\n", *points]))
    (tmp_path / "package" / "odd_formats.py").write_text(FORMATS_OF_ANOTHER_PACKAGE)
    monkeypatch.syspath_prepend(tmp_path / "package")


@pytest.mark.usefixtures("_formats")
def test_a_copy_that_cannot_be_written_or_embeds_otherwise_is_refused(spec, tmp_path):
    with pytest.raises(RunError, match=r"embeddings of the copy differ from its own by 2\.0e-04, more"):
        export_encoder(spec("r3d_tiny"), tmp_path / "out" / "wrong", "wrong")
    with pytest.raises(RunError, match="r3d_tiny cannot be written so: no such operator; choose another"):
        export_encoder(spec("r3d_tiny"), tmp_path / "out" / "untraceable", "untraceable")
    with pytest.raises(ConfigError, match=r"no_such_module is missing; install sora-video\[absent\]"):
        export_encoder(spec("r3d_tiny"), tmp_path / "out" / "absent", "absent")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_command_says_what_it_wrote(sora, spec, videos, tmp_path):
    out = tmp_path / "out"
    film = next(videos.rglob("*.mp4"))
    film = next(videos.rglob("*.mp4"))
    code, said = sora("export", spec("r3d_tiny"), "--format", "hf", "--out", out, "--check", film)
    assert code == 0, said
    count = len(load_encoder(spec("r3d_tiny"), "cpu").embed(film, progress=False))
    assert f"{out}: on {3 + 1 + count} slices its embeddings differ by at most 0.0e+00" in said.replace(
        "\n", " "
    )
    code, said = sora("export", spec("r3d_tiny"), "--format", "hf", "--out", out)
    assert code == 2
    assert said.startswith(f"error: --out {out}: exists already, an exported encoder; give --force")
