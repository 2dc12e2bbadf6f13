import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sora_video.base.errors import ConfigError
from sora_video.configs.loader import check_settings, dump_config
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.training.init import adopt
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.ranks import is_first_process, layout
from sora_video.pretrain.training.run.folder import Run

ONE_STEP = Path(__file__).with_name("one_step.py")
SOUND = ("encoder.name=sora_av", "encoder.av.dim=16", "encoder.av.mels=16")
CASES = {
    "simclr": ("method.name=simclr",),
    "moco": ("method.name=moco", "method.queue=32"),
    "simclr with sound": ("method.name=simclr", *SOUND),
    "moco with sound": ("method.name=moco", "method.queue=32", *SOUND),
    "look and motion": ("encoder.input=both", "loss.stream_cross=0.5"),
    "moco with weighted negatives": (
        *("method.name=moco", "method.queue=32", "method.negatives.ignore=0.2"),
        *("method.negatives.hardness=1", "method.negatives.warmup=0"),
    ),
    "vicreg": ("method.name=vicreg",),
    "sigreg with sound": ("method.name=sigreg", *SOUND),
    "partly frozen": ("encoder.freeze=2", "optim.layer_decay=0.5"),
    "moco with sound and texts": (
        *("method.name=moco", "method.queue=32", *SOUND),
        *("text.column=text", "text.width=32", "text.buckets=256"),
    ),
    "tasks, two views of a slice": (
        *("augment.playback=2", "augment.reverse=0.5", "tasks.rate.weight=0.5", "tasks.order.weight=0.5"),
        *("tasks.local.weight=0.5", "slice.views=2", "slice.per_video=2"),
    ),
    "altered slices and local views": (
        *("loss.intra=either", "augment.local_views=4", "augment.local_size=16", "augment.local_frames=4"),
        *("slice.views=2", "slice.per_video=2"),
    ),
    "moco with tubelets and copies": (
        *("method.name=moco", "method.queue=32", "augment.tubelet=0.7"),
        *("augment.overlay=0.5", "augment.border=0.5", "augment.compress=0.5"),
    ),
    "moco with sound, altered slices and local views": (
        *("method.name=moco", "method.queue=32", *SOUND, "loss.intra=shuffle", "loss.intra_slices=3"),
        *("augment.local_views=4", "augment.local_size=16"),
    ),
}
QUEUED = ("moco", "moco with sound", "moco with sound and texts")
FEW = ("moco with sound and texts", "moco with weighted negatives", "tasks, two views of a slice")
SHARED = ("optim.batch_size=6", "optim.groups=6", "slice.per_video=3", "optim.lr=1e-9")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def torchrun(processes, *arguments, nodes=1, node=0, port=None):
    """Start processes that share each step as a user does."""
    place = ["--nnodes", nodes, "--node-rank", node, "--master-addr", "127.0.0.1"]
    place += ["--master-port", port or free_port(), "--nproc-per-node", processes]
    return start("-m", "torch.distributed.run", *place, *arguments)


def start(*arguments):
    """Start Python for processes that talk over gloo on the loopback interface."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
    )


def finished(process):
    text, _ = process.communicate(timeout=240)
    assert process.returncode == 0, text
    return text


@pytest.fixture(
    scope="module", params=[FEW, pytest.param(tuple(CASES), marks=pytest.mark.slow)], ids=["few", "all"]
)
def recipes(request, tmp_path_factory, make_config, tiny_run):
    """A file for each case; what is partly frozen starts from a run."""
    folder = tmp_path_factory.mktemp("recipes")
    files = [folder / f"{case}.yaml" for case in request.param]
    for file in files:
        config = make_config(*SHARED, *CASES[file.stem])
        if config.encoder.freeze:
            settings = adopt(config.model_dump(exclude_unset=True), tiny_run.path)
            config = check_settings(PretrainConfig, settings)
        file.write_text(dump_config(config), encoding="utf-8")
    return files


@pytest.fixture(scope="module")
def described(tmp_path_factory, heard_videos):
    """A manifest of videos with sound; three of them share a text, and one has none."""
    path = tmp_path_factory.mktemp("described") / "videos.csv"
    said = ("a low tone", "a low tone", "a low tone", "a tone", "", "a high tone", "nothing", "no track")
    lines = [f"{heard_videos}/clip {number}.mp4,{text}" for number, text in enumerate(said)]
    path.write_text("\n".join(["path,text", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=[pytest.param(2, marks=pytest.mark.slow), 3])
def together(request, tmp_path_factory, described, recipes):
    """What several processes find that share each step, and what they print."""
    out = tmp_path_factory.mktemp("together") / "found.pt"
    printed = finished(start(ONE_STEP, request.param, free_port(), described, out, *recipes))
    return torch.load(out, weights_only=True), printed


@pytest.fixture(scope="module")
def alone(tmp_path_factory, described, recipes):
    """What one process finds: this one."""
    out = tmp_path_factory.mktemp("alone") / "found.pt"
    steps = runpy.run_path(str(ONE_STEP))["all_first_steps"]
    steps(described, out, recipes)
    return torch.load(out, weights_only=True)


def assert_near(found, expected, least=0.0):
    """Each tensor is the same but for the rounding of sums in another order."""
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-5 * max(other.norm(), least)


def test_ranks_agree_on_losses_gradients_and_state(together, alone, recipes):
    for found, expected in zip(together[0], alone, strict=True):
        assert len(expected["losses"]) == len(expected["gradients"]) == 3
        assert torch.equal(torch.stack(found["videos"]), torch.stack(expected["videos"]))
        assert_near(found["losses"], expected["losses"])
        for ours, theirs in zip(found["gradients"], expected["gradients"], strict=True):
            whole = torch.cat([gradient.flatten() for gradient in theirs]).norm()
            assert_near(ours, theirs, least=0.01 * whole)
            assert min(gradient.norm() for gradient in theirs) > 0
        for part in ("model", "text") if "text" in expected["state"] else ("model",):
            weights, others = found["state"][part], expected["state"][part]
            pairs = [(weights[name].double(), others[name].double()) for name in others]
            assert_near(*zip(*pairs, strict=True), least=1e-8)  # biases that began at 0 have steps of 1e-9
    cases = [file.stem for file in recipes]
    for case in [case for case in cases if case in QUEUED]:
        queue, other = (found[cases.index(case)]["state"]["method"] for found in (together[0], alone))
        assert queue["written"] == other["written"] == 54
        assert torch.equal(queue["queue_video"], other["queue_video"])
        assert torch.equal(queue["queue_has_audio"], other["queue_has_audio"])
        assert_near(queue["queue"], other["queue"])
        assert (0 < queue["queue_has_audio"].sum() < 32) == ("sound" in case)
    weighted = cases.index("moco with weighted negatives")
    table, other = (found[weighted]["state"]["method"] for found in (together[0], alone))
    assert torch.equal(table["running.video"], other["running.video"])
    seen = other["running.video"] >= 0
    assert seen.sum() == 8
    assert_near(table["running.embedding"][seen], other["running.embedding"][seen])


@pytest.fixture(scope="module")
def pair(tmp_path_factory, videos, make_config):
    """A config of two groups, its file, and the run of one process with it."""
    config = make_config("optim.batch_size=4", "optim.groups=2", "optim.epochs=4")
    folder = tmp_path_factory.mktemp("pair")
    (folder / "two.yaml").write_text(dump_config(config), encoding="utf-8")
    return folder / "two.yaml", pretrain_encoder(videos, folder / "single", config)


def assert_alike(run, single):
    """The same steps, and the same weights but for rounding."""
    assert [line["step"] for line in run.log()] == [line["step"] for line in single.log()]
    torch.testing.assert_close(run.load_weights(), single.load_weights(), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_two_machines_train_one_encoder(videos, pair, tmp_path):
    recipe, single = pair
    out, port = tmp_path / "run", free_port()
    command = ["-m", "sora_video", "pretrain", videos, "--out", out, "--config", recipe]
    machines = [torchrun(1, *command, nodes=2, node=node, port=port) for node in range(2)]
    texts = [finished(machine) for machine in machines]
    assert sum(text.count(f"finished {out}") for text in texts) == 1
    assert_alike(Run.open(out), single)


@pytest.mark.slow
def test_all_processes_stop_together_and_one_goes_on_alone(videos, pair, tmp_path):
    recipe, single = pair
    out = tmp_path / "run"
    command = ["-m", "sora_video", "pretrain", videos, "--out", out, "--config", recipe]
    process = torchrun(2, *command, "--max-minutes", "0")
    text, _ = process.communicate(timeout=240)
    assert process.returncode == 0, text
    assert text.count(f"run {out}: stopped after step 1; continue it with --resume") == 1
    assert not Run.open(out).finished
    assert_alike(pretrain_encoder(videos, out, resume=True), single)


def test_an_error_of_the_first_process_ends_all_with_that_error(together):
    assert sorted(line for line in together[1].splitlines() if line[:2] in ("0 ", "1 ")) == [
        "0 KeyboardInterrupt: stop",
        "0 StorageError: cannot write a: full",
        "0 ValueError: a mistake of ours",
        "0 made",
        "1 None",
        "1 RunError: the first process ended in KeyboardInterrupt: stop; see its output",
        "1 RunError: the first process ended in ValueError: a mistake of ours; see its output",
        "1 StorageError: cannot write a: full",
    ]


SLURM = {"SLURM_NTASKS": "4", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "train"}


@pytest.fixture
def slurm(monkeypatch):
    """A function that sets what SLURM sets, and nothing else of it."""
    for name in [
        name for name in os.environ if name.startswith("SLURM") or name in ("RANK", "LOCAL_WORLD_SIZE")
    ]:
        monkeypatch.delenv(name)

    def set_all(**variables):
        for name, value in {**SLURM, **variables}.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize("batch_script", [{}, {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}])
def test_an_allocation_of_several_tasks_without_srun_is_refused_in_one_line(slurm, batch_script):
    slurm(**batch_script)
    with pytest.raises(
        ConfigError, match=r"SLURM_NTASKS=4: this process was not started by srun.*with srun, or"
    ):
        layout()


def test_tasks_that_srun_started_are_counted_by_machine(slurm):
    slurm(SLURM_STEP_ID="0", SLURM_PROCID="3")
    assert layout() == (2, 2)


@pytest.mark.parametrize(
    "variables", [{"SLURM_NTASKS": "1", "SLURM_NNODES": "1"}, {"SLURM_JOB_NAME": "interactive"}]
)
def test_an_allocation_of_one_task_or_a_shell_needs_no_srun(slurm, variables):
    slurm(**variables)
    assert layout() == (1, 1)


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({"SLURM_STEP_ID": "0", "SLURM_PROCID": "0"}, True),
        ({"SLURM_STEP_ID": "0", "SLURM_PROCID": "2"}, False),
        ({"RANK": "0"}, True),
        ({"RANK": "1"}, False),
        ({}, True),
    ],
)
def test_one_process_of_several_speaks_for_all(slurm, variables, first):
    slurm(**variables)
    assert is_first_process() is first
