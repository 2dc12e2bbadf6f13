"""Learners and weights that tests share."""

from collections.abc import Callable

import pytest

from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.published.fetch import fetch_model
from sora_video.pretrain.training.learner import Learner
from sora_video.pretrain.training.ranks import make_fabric
from sora_video.pretrain.training.sampler import EpochSampler
from tests.pretrain.training.noise import VIDEOS


@pytest.fixture
def make_learner(make_config: Callable[..., PretrainConfig]) -> Callable[..., Learner]:
    """A function from overrides to a learner of batches of 8 videos."""

    def make(*overrides: str) -> Learner:
        queue = ["method.queue=40"] if "method.name=moco" in overrides else []
        config = make_config(f"optim.batch_size={VIDEOS}", *queue, *overrides)
        fabric = make_fabric(config.optim)
        return Learner(config, fabric, EpochSampler(VIDEOS, config))

    return make


@pytest.fixture(scope="session")
def lite(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The spec of real weights, on small pictures, by the features of frames."""
    folder = tmp_path_factory.mktemp("models") / "lite"
    small = {"frames": 2, "fps": 2.0, "size": 64}
    fetch_model("package:efficientnet_lite0", folder, {"slice": small, "encoder": {"depths": [], "cells": 1}})
    return f"package:efficientnet_lite0@{folder}"
