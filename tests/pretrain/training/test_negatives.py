"""Which negatives count how much, against loops over pairs of videos."""

import math

import numpy as np
import pytest
import torch

from sora_video.base.errors import ConfigError
from sora_video.configs.loader import load_config
from sora_video.pretrain.training.aspects import Aspects, Term, contrast
from sora_video.pretrain.training.known import Known
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.methods import make_method
from sora_video.pretrain.training.model import Contrastive
from sora_video.pretrain.training.negatives import NegativesConfig, RunningVideos

from .test_loss import slow_info_nce

TEMPERATURE = 0.4


def slices(projections, video):
    """Slices of one aspect; (n, D) projections of videos."""
    count = len(projections)
    return Aspects(projections, torch.ones(count, 1).bool(), torch.tensor(video), torch.arange(count))


def table(dim=5, **settings):
    """A warm table of running embeddings in double precision."""
    running = RunningVideos(NegativesConfig(**{"ignore": 0.2, **settings}), dim, TEMPERATURE).double()
    running.start(99, 100)
    return running


def unit(vector):
    return vector / np.linalg.norm(vector)


def slow_running(steps, rows):
    """The table after some steps, video by video: {row: (video, embedding)}."""
    found = {}
    for projections, video in steps:
        for number in sorted(set(video)):
            mean = unit(
                np.mean([unit(p) for p, v in zip(projections, video, strict=True) if v == number], axis=0)
            )
            before = found.get(number % rows)
            if before and before[0] == number:
                mean = unit(0.5 * before[1] + 0.5 * mean)
            found[number % rows] = number, mean
    return found


def slow_choice(found, rows, queries, keys, ignore, hardness):
    """Which keys are negatives of which queries, and the weights of these."""

    def cosine(one, other):
        entries = found.get(one % rows), found.get(other % rows)
        if any(entry is None or entry[0] != v for entry, v in zip(entries, (one, other), strict=True)):
            return None
        return float(entries[0][1] @ entries[1][1])

    pairs = [(one, other) for one in sorted(set(queries)) for other in sorted(set(keys)) if one != other]
    known = sorted((pair for pair in pairs if cosine(*pair) is not None), key=lambda pair: -cosine(*pair))
    wanted = int(ignore * len(known))
    ignored = {
        pair for pair in known[: wanted + 1] if wanted and cosine(*pair) > cosine(*known[wanted - 1]) - 1e-9
    }
    for one in set(queries):
        if all(pair in ignored for pair in pairs if pair[0] == one):
            ignored -= {pair for pair in pairs if pair[0] == one}
    chosen = np.array([[one != other and (one, other) not in ignored for other in keys] for one in queries])
    weights = np.ones(chosen.shape)
    for i, one in enumerate(queries):
        counted = [j for j in range(len(keys)) if chosen[i, j] and cosine(one, keys[j]) is not None]
        raw = [math.exp(hardness * cosine(one, keys[j]) / TEMPERATURE) for j in counted]
        for j, value in zip(counted, raw, strict=True):
            weights[i, j] = value / np.mean(raw)
    return chosen, weights


def take_steps(running, videos_of_steps):
    """Show a table some steps; returns what they showed."""
    rng, shown = np.random.default_rng(0), []
    for video in videos_of_steps:
        projections = rng.normal(size=(len(video), 5)) + 2 * np.eye(5)[np.array(video) % 3]
        running.keep(slices(torch.from_numpy(projections), video))
        shown.append((projections, video))
    return shown


STEPS = [[0, 0, 1, 1, 2, 2], [3, 1, 3, 1, 4, 0], [9, 12, 2, 2, 12, 9], [5, 6, 5, 6, 0, 0]]


@pytest.mark.parametrize("rows", [16, 4], ids=["a row each", "shared rows"])
def test_running_embeddings_are_means_of_means(rows):
    running = table(videos=rows)
    expected = slow_running(take_steps(running, STEPS), rows)
    assert {row: int(video) for row, video in enumerate(running.video) if video >= 0} == {
        row: video for row, (video, _) in expected.items()
    }
    for row, (_, embedding) in expected.items():
        np.testing.assert_allclose(running.embedding[row], embedding, atol=1e-12)


@pytest.mark.parametrize("rows", [16, 4], ids=["a row each", "shared rows"])
@pytest.mark.parametrize(("ignore", "hardness"), [(0.2, 0.0), (0.0, 1.5), (0.3, 0.7), (0.5, 2.0)])
@pytest.mark.parametrize("keys", [(0, 0, 1, 2, 5, 7), (5, 5, 5, 0, 0), (6, 3, 9, 12, 4, 1, 1, 1, 8)])
def test_negatives_are_those_of_loops_over_pairs(rows, ignore, hardness, keys):
    running, queries = table(videos=rows, ignore=ignore, hardness=hardness), (0, 0, 1, 2, 5, 7)
    found = slow_running(take_steps(running, STEPS), rows)
    chosen, weights = slow_choice(found, rows, queries, keys, ignore, hardness)
    negatives = running.choose(torch.tensor(queries), torch.tensor(keys))
    np.testing.assert_array_equal(negatives.chosen, chosen)
    assert not (negatives.chosen & (torch.tensor(queries)[:, None] == torch.tensor(keys))).any()
    if hardness == 0:
        assert negatives.log_weights is None
    else:
        np.testing.assert_allclose(negatives.log_weights.exp()[chosen], weights[chosen], rtol=1e-12)


def test_altered_slices_are_negatives_of_all_and_local_views_are_not_remembered():
    running = table(ignore=0.5, hardness=1.0, videos=8)
    take_steps(running, STEPS[:2])
    before = running.embedding.clone()
    local = slices(torch.randn(2, 5, dtype=torch.float64), [0, 1])
    running.keep(local._replace(number=torch.full((2,), -1)))
    assert torch.equal(running.embedding, before)
    negatives = running.choose(torch.arange(4), torch.tensor([-1, 0, 1, -1, 2]))
    assert negatives.chosen[:, [0, 3]].all()
    assert not negatives.log_weights[:, [0, 3]].any()


def test_a_video_that_is_like_all_others_keeps_its_negatives():
    running = table(ignore=0.5)
    running.keep(slices(torch.ones(4, 5, dtype=torch.float64), range(4)))
    numbers = torch.arange(4)
    assert torch.equal(running.choose(numbers, numbers).chosen, numbers[:, None] != numbers)


@pytest.mark.parametrize(("step", "alike"), [(0, True), (24, True), (25, False)])
def test_all_negatives_count_alike_until_the_network_has_learnt(step, alike):
    running = table(ignore=0.5, hardness=1.0, warmup=0.25)
    take_steps(running, STEPS)
    running.start(step, 100)
    numbers = torch.arange(5)
    negatives = running.choose(numbers, numbers)
    assert (negatives.log_weights is None) == alike
    assert torch.equal(negatives.chosen, numbers[:, None] != numbers) == alike


@pytest.mark.parametrize("method", ["simclr", "moco"])
def test_the_loss_is_that_of_loops(make_config, method):
    more = ["method.queue=6", "method.momentum=0.9"] if method == "moco" else []
    config = make_config(
        f"method.name={method}", *more, "loss.projection_dim=5", f"loss.temperature={TEMPERATURE}",
        "method.negatives.ignore=0.3", "method.negatives.hardness=0.8", "method.negatives.warmup=0",
        "method.negatives.videos=16",
    )  # fmt: skip
    trained = make_method(config, Contrastive(config)).double()
    torch.manual_seed(1)
    steps = torch.randn(4, 4, 2, 1, 5, dtype=torch.float64)
    keys = torch.nn.functional.normalize(torch.randn(4, 4, 2, 1, 5, dtype=torch.float64), dim=4)
    videos = [(0, 1, 2, 3), (4, 5, 0, 1), (2, 3, 4, 5), (0, 2, 4, 0)]
    shown, queue = [], []
    for number, video in enumerate(videos):
        silent, nothing = torch.zeros(4, 2, dtype=torch.bool), torch.zeros(4, 2, 0)
        about = Known(torch.tensor(video), silent, silent.long(), nothing)
        trained.prepare(lambda *_, number=number: keys[number], number, 4)
        loss = trained.loss(steps[number], about)
        mine = [v for v in video for _ in range(2)]
        rows, others, owners = steps[number].flatten(0, 2), steps[number].flatten(0, 2), list(mine)
        if method == "moco":
            others = torch.cat([keys[number].flatten(0, 2), *(row[None] for row, _ in queue)])
            owners += [owner for _, owner in queue]
        chosen, weights = slow_choice(slow_running(shown, 16), 16, mine, owners, 0.3, 0.8)
        same = torch.tensor(mine)[:, None] == torch.tensor(mine)
        positives = torch.zeros(chosen.shape, dtype=torch.bool)
        positives[:, :8] = same & ~torch.eye(8, dtype=torch.bool)
        negatives, factors = torch.from_numpy(chosen), torch.from_numpy(weights)
        expected = slow_info_nce(rows, others, positives, negatives, TEMPERATURE, factors)
        assert loss.item() == pytest.approx(expected, rel=1e-9)
        trained.keep(about)
        shown.append((rows.numpy(), mine))
        queue = [*queue, *zip(keys[number].flatten(0, 2), mine, strict=True)][-6:]


def test_projections_in_bf16_have_a_finite_loss_near_that_in_fp32():
    running = table(ignore=0.2, hardness=1.0).float()
    take_steps(running, STEPS)
    torch.manual_seed(2)
    projections = torch.randn(10, 1, 5).to(torch.bfloat16).requires_grad_()
    about = slices(projections, [0, 1, 2, 3, 4] * 2)
    loss = contrast(about, about, [Term(0, 0, 1.0)], TEMPERATURE, running.choose)
    same = about._replace(projections=projections.detach().float())
    torch.testing.assert_close(loss, contrast(same, same, [Term(0, 0, 1.0)], TEMPERATURE, running.choose))
    loss.backward()
    assert projections.grad.isfinite().all()


@pytest.mark.parametrize("method", [pytest.param("simclr", marks=pytest.mark.slow), "moco"])
def test_a_run_that_never_gets_warm_is_the_run_without(videos, make_config, tmp_path, method):
    never = ("method.negatives.ignore=0.5", "method.negatives.hardness=2", "method.negatives.warmup=1")
    always = (*never[:2], "method.negatives.warmup=0")
    weights = []
    for number, more in enumerate([(), never, always]):
        config = make_config(f"method.name={method}", *more)
        weights.append(pretrain_encoder(videos, tmp_path / str(number), config).load_weights())
    off, on, warm = weights
    assert all(torch.equal(weight, off[name]) for name, weight in on.items())
    assert not all(torch.equal(weight, off[name]) for name, weight in warm.items())


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        (
            ["method.negatives.videos=7"],
            r"videos=7: needs method\.negatives\.ignore or method\.negatives\.har",
        ),
        (["method.negatives.warmup=0.5"], r"warmup=0\.5: needs method\.negatives\.ignore or"),
        (
            ["method.negatives.ignore=0.9"],
            r"negatives\.ignore=0\.9: input should be less than or equal to 0\.5",
        ),
        (
            ["method.name=vicreg", "method.negatives.hardness=1"],
            r"method\.negatives\.hardness=1: vicreg has no such setting; its settings are method\.invariance",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, refusal):
    with pytest.raises(ConfigError, match=refusal):
        load_config(None, settings)
