"""VICReg and SIGReg against lightly, and against their definitions slice by slice."""

import cmath
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from lightly.loss import VICRegLoss
from lightly.loss.lejepa_loss import LeJEPALoss, lejepa_invariance_loss
from lightly.loss.lejepa_loss import SIGReg as LightlySIGReg
from lightly.loss.vicreg_loss import covariance_loss, variance_loss

from sora_video.base.errors import ConfigError
from sora_video.configs.loader import load_config
from sora_video.pretrain.training.aspects import Aspects
from sora_video.pretrain.training.known import Known
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.methods import make_method
from sora_video.pretrain.training.model import Contrastive
from sora_video.pretrain.training.negative_free import views_apart
from sora_video.pretrain.training.run.guard import COLLAPSED
from sora_video.pretrain.video.corpus import Corpus, open_corpus

BOTH = ["vicreg", "sigreg"]
HEARING = ("encoder.name=sora_av", "encoder.av.dim=16", "encoder.av.mels=16")
TERMS = ((0, 0, 1.0), (1, 1, 0.5), (2, 2, 0.5), (1, 2, 0.35), (2, 1, 0.35))
"""Of both senses, sight and sound with loss.within=0.5 and loss.cross=0.7."""


@pytest.fixture
def make(make_config):
    """A function from a method's name and overrides to the method, before the step of number 5."""

    def make(name, *overrides):
        config = make_config(f"method.name={name}", "loss.projection_dim=6", *overrides)
        method = make_method(config, Contrastive(config))
        method.prepare(None, 5, 100)
        return method

    return make


def draw(videos, slices, aspects=1, dtype=torch.float64):
    """Projections of a batch."""
    torch.manual_seed(3)
    return torch.randn(videos, slices, aspects, 6, dtype=dtype)


def known(video, slices, silent=()):
    """What is known of a batch; the slices that are named have no sound."""
    has_audio = torch.ones(len(video), slices, dtype=torch.bool)
    for place in silent:
        has_audio[place] = False
    return Known(torch.tensor(video), has_audio, has_audio.long(), torch.zeros(len(video), slices, 0))


def listed(projections, about):
    """The present slices of each aspect, as (video, number, vector)."""
    slices = projections.shape[1]
    return [
        [
            (int(about.video[v]), v * slices + r, projections[v, r, aspect].numpy())
            for v in range(len(projections))
            for r in range(slices)
            if aspect < 2 or bool(about.has_audio[v, r])
        ]
        for aspect in range(projections.shape[2])
    ]


def by_place(rows):
    """The first slices of all videos, their second ones, ..., where there are two or more."""
    counts, groups = {}, {}
    for video, _, vector in rows:
        counts[video] = counts.get(video, -1) + 1
        groups.setdefault(counts[video], []).append(vector)
    return [np.array(group) for group in groups.values() if len(group) > 1]


def slow_vicreg(projections, about, terms, invariance, variance, covariance):
    """The loss by loops over slices and dimensions."""
    aspects, dims = listed(projections, about), range(projections.shape[3])

    def spread(rows):
        groups, total = by_place(rows), 0.0
        for group in groups:
            centred = group - group.mean(0)
            products = [[sum(row[a] * row[b] for row in centred) for a in dims] for b in dims]
            table = np.array(products) / (len(group) - 1)
            hinges = [max(0.0, 1 - math.sqrt(table[d, d] + 1e-4)) for d in dims]
            off = sum(table[a, b] ** 2 for a in dims for b in dims if a != b) / len(dims)
            total += len(group) * (variance * sum(hinges) / len(dims) + 2 * covariance * off)
        return total / sum(map(len, groups)) if groups else None

    def distance(rows, others, within):
        gaps = [
            ((one - other) ** 2).mean()
            for video, number, one in rows
            for owner, place, other in others
            if video == owner and not (within and number == place)
        ]
        return invariance * sum(gaps) / len(gaps) if gaps else None

    return slow_sum(aspects, terms, spread, distance)


def slow_sigreg(projections, about, terms, weight, directions):
    """The loss by loops over slices, directions and places; characteristic functions by definition."""
    places = np.linspace(-3, 3, 33)

    def statistic(samples):
        gaps = []
        for t in places:
            empirical = sum(cmath.exp(1j * t * sample) for sample in samples) / len(samples)
            gaussian = math.exp(-(t**2) / 2)
            gaps.append(abs(empirical - gaussian) ** 2 * gaussian)
        steps = [(one + other) / 2 * (places[1] - places[0]) for one, other in pairwise(gaps)]
        return len(samples) * sum(steps)

    def spread(rows):
        groups = by_place(rows)
        found = [
            len(group) * sum(statistic(group @ column) for column in directions.T) / directions.shape[1]
            for group in groups
        ]
        return weight * sum(found) / sum(map(len, groups)) if groups else None

    def distance(rows, others, within):  # noqa: ARG001
        gaps = []
        for video, _, one in rows:
            same = [other for owner, _, other in others if owner == video]
            if same:
                gaps.append(((one - np.mean(same, axis=0)) ** 2).mean())
        return (1 - weight) * sum(gaps) / len(gaps) if gaps else None

    return slow_sum(listed(projections, about), terms, spread, distance)


def slow_sum(aspects, terms, spread, distance):
    total = 0.0
    for query, key, weight in terms:
        parts = (
            distance(aspects[query], aspects[key], query == key),
            spread(aspects[query]),
            spread(aspects[key]),
        )
        if all(part is not None for part in parts):
            total += weight * (parts[0] + (parts[1] + parts[2]) / 2)
    return total


def slow(method, projections, about, terms=((0, 0, 1.0),)):
    """The slow reference of a method."""
    config = method.config
    if config.name == "vicreg":
        return slow_vicreg(projections, about, terms, config.invariance, config.variance, config.covariance)
    return slow_sigreg(projections, about, terms, config.weight, method.directions.double().numpy())


@pytest.mark.parametrize("slices", [2, 4])
def test_vicreg_is_lightlys_over_all_pairs_of_slices(make, slices):
    projections = draw(7, slices)
    pairs = [(a, b) for a in range(slices) for b in range(a)]
    losses = [VICRegLoss()(projections[:, a, 0], projections[:, b, 0]) for a, b in pairs]
    found = make("vicreg").loss(projections, known(range(7), slices))
    torch.testing.assert_close(found, torch.stack(losses).mean())


def test_sigreg_is_lightlys_along_the_same_directions(make, monkeypatch):
    method = make("sigreg", "method.weight=0.3", "method.directions=20")
    lightlys = LightlySIGReg(num_vectors=20).double()
    monkeypatch.setattr(lightlys, "_generate_unit_vectors", lambda *_: method.directions.double())
    projections = draw(7, 3)
    views = projections[:, :, 0].transpose(0, 1)
    expected = 0.7 * lejepa_invariance_loss(all_proj=views, global_proj=views) + 0.3 * lightlys(views)
    torch.testing.assert_close(method.loss(projections, known(range(7), 3)), expected, rtol=1e-6, atol=0)


def test_local_views_are_those_of_lejepa(make, monkeypatch):
    method = make("sigreg", "method.directions=20")
    lightlys = LeJEPALoss(sigreg_num_vectors=20).double()
    monkeypatch.setattr(lightlys.sigreg, "_generate_unit_vectors", lambda *_: method.directions.double())
    wholes, local = draw(7, 5).split([2, 3], dim=1)
    expected = lightlys(
        global_proj=wholes[:, :, 0].transpose(0, 1), local_proj=local[:, :, 0].transpose(0, 1)
    )
    found = method.loss(wholes, known(range(7), 2)._replace(local=local))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_local_views_are_compared_with_slices_alone(make):
    wholes, local = draw(7, 5).split([2, 3], dim=1)
    a, b, *views = torch.cat([wholes, local], 1)[:, :, 0].unbind(1)
    pairs = [(a, b), *((whole, view) for whole in (a, b) for view in views)]
    gaps = [(one - other).square().mean() for one, other in pairs]
    weights = [2, *[1] * 6]  # each slice asks for the other one, and no slice for local views
    expected = sum(w * gap for w, gap in zip(weights, gaps, strict=True)) / sum(weights)
    spread = torch.stack([variance_loss(view) + 2 * covariance_loss(view) for view in (a, b, *views)]).mean()
    method = make("vicreg", "method.invariance=1", "method.variance=1")
    found = method.loss(wholes, known(range(7), 2)._replace(local=local))
    torch.testing.assert_close(found, expected + spread)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("video", [(0, 1, 2, 3), (4, 1, 4, 7, 4)], ids=["files", "several spans of a file"])
def test_the_loss_is_its_definition(make, name, video):
    weights = ("method.directions=5",) if name == "sigreg" else ("method.invariance=3", "method.covariance=7")
    method, projections, about = make(name, *weights), draw(len(video), 3), known(video, 3)
    assert method.loss(projections, about).item() == pytest.approx(slow(method, projections, about), rel=1e-9)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    "silent", [(), ((0, 1), (2, slice(None)), (3, 0)), (slice(1, None),)], ids=["none", "some", "all but one"]
)
def test_aspects_are_pulled_together_and_spread_where_they_are_present(make, name, silent):
    method = make(name, *HEARING, "loss.within=0.5", "loss.cross=0.7")
    projections, about = draw(5, 3, 3), known(range(5), 3, silent)
    expected = slow(method, projections, about, TERMS)
    assert method.loss(projections, about).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", BOTH)
def test_what_is_not_present_has_no_gradient(make, name):
    projections = draw(4, 2, 3).requires_grad_()
    make(name, *HEARING).loss(projections, known(range(4), 2, [(0, 1)])).backward()
    assert not projections.grad[0, 1, 2].any()
    assert projections.grad[0, 1, :2].any(dim=1).all()


@pytest.mark.parametrize("name", BOTH)
def test_gradients_agree_with_finite_differences(make, name):
    method, about = make(name, "method.directions=3") if name == "sigreg" else make(name), known((0, 1, 0), 2)
    projections = draw(3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda rows: method.loss(rows, about), (projections,))


def test_no_two_slices_of_a_file_are_spread_apart():
    video = torch.tensor([5, 5, 3, 5, 3, 8])
    rows = Aspects(torch.arange(6.0)[:, None], torch.ones(6, 1).bool(), video, torch.arange(6))
    assert [view.flatten().tolist() for view in views_apart(rows)] == [[0, 2, 5], [1, 4]]


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("kind", ["random", "equal", "huge", "zero"])
def test_projections_in_bf16_have_nearly_the_same_finite_loss_and_gradient(make, name, kind):
    method, about = make(name), known(range(4), 2)
    values = {"equal": torch.ones(4, 2, 1, 6), "zero": torch.zeros(4, 2, 1, 6)}
    random = draw(4, 2, dtype=torch.float32)
    values |= {"random": random, "huge": random * 100}
    rows = values[kind].to(torch.bfloat16).requires_grad_()
    same = rows.detach().float().requires_grad_()
    loss, other = method.loss(rows, about), method.loss(same, about)
    (gradient,), (wanted,) = torch.autograd.grad(loss, rows), torch.autograd.grad(other, same)
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert gradient.isfinite().all()
    torch.testing.assert_close(loss, other)
    torch.testing.assert_close(gradient.float(), wanted, rtol=1e-2, atol=1e-3)


def test_directions_are_a_function_of_seed_and_step(make):
    drawn = []
    for seed, step in [(0, 5), (0, 5), (0, 6), (1, 5)]:
        method = make("sigreg", f"seed={seed}")
        method.prepare(None, step, 100)
        drawn.append(method.directions)
    assert torch.equal(drawn[0], drawn[1])
    for other in drawn[2:]:
        assert (drawn[0] - other).abs().max() > 0.1
    torch.testing.assert_close(drawn[0].norm(dim=0), torch.ones(256))


@pytest.mark.parametrize("name", BOTH)
def test_the_statistics_tell_collapse_from_a_gaussian(make, name):
    torch.manual_seed(0)
    method = make(name, "loss.projection_dim=6")
    gaussian = torch.randn(500, 6)
    spread, collapsed, flat = (
        method.spread([rows]).item()
        for rows in (gaussian, gaussian * 0, gaussian * torch.tensor([1.0, 1, 1, 0, 0, 0]))
    )
    assert spread < 0.1 * min(flat, collapsed)


@pytest.mark.parametrize(
    "settings",
    [
        ["vicreg", "method.invariance=10"],
        pytest.param(["sigreg", "method.weight=0.5"], marks=pytest.mark.slow),
    ],
)
def test_batches_of_four_videos_suffice_to_learn(videos, make_config, tmp_path, settings):
    config = make_config(
        f"method.name={settings[0]}", *settings[1:], "optim.epochs=24", "optim.batch_size=4", "optim.lr=1e-2",
        "encoder.input=rgb", "augment.crop_area=[0.8,1]", "augment.jitter=0", "augment.grey=0",
    )  # fmt: skip
    log = pretrain_encoder(videos, tmp_path, config).log()
    losses, spread = ([line[name] for line in log] for name in ("loss", "std"))
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert min(spread) > 5 * COLLAPSED


@pytest.mark.parametrize("name", BOTH)
def test_spans_of_a_single_file_are_enough(videos, make_config, tmp_path, name):
    one = open_corpus(videos).videos[0]
    spans = Corpus(
        videos, tuple(replace(one, start_s=start, end_s=start + 0.5) for start in (0, 0.5, 1.0, 1.5))
    )
    run = pretrain_encoder(spans, tmp_path / name, make_config(f"method.name={name}", "optim.epochs=2"))
    assert run.finished
    assert all(line["loss"] > 0 for line in run.log())
    assert f"| objective | {name}, 2 slices a video |" in (run.path / "README.md").read_text()


def test_a_setting_of_another_method_is_refused():
    with pytest.raises(
        ConfigError, match=r"method\.directions=9: vicreg has no such setting; its settings are "
    ):
        load_config(None, ["method.name=vicreg", "method.directions=9"])
    with pytest.raises(ConfigError, match=r"method\.weight=2.*less than or equal to 1"):
        load_config(None, ["method.name=sigreg", "method.weight=2"])
