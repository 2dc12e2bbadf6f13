"""The settings of every benchmark are those of today's recipes and parts."""

import pytest

from benchmarks import choices, encoders, published, real, senses, texts
from sora_video.configs.loader import load_config
from sora_video.pretrain.training.init import new_config

RECIPES = {
    **{f"choices, {name}": settings for name, settings in choices.CHOICES.items()},
    **{
        f"encoders, {name}": (f"encoder.name={name}", *encoders.BARE)
        for name in ("r3d_tiny", "sora", "r3d_18")
    },
    "senses": senses.RECIPE,
    **{f"texts, {name}": (*texts.BOTH, *task.settings) for name, task in texts.TASKS.items()},
}


@pytest.mark.parametrize("name", RECIPES)
def test_settings_on_top_of_a_recipe(name):
    config = load_config("tiny-cpu", RECIPES[name])
    assert config.optim.epochs > 0


@pytest.mark.parametrize("way", published.WAYS, ids=lambda way: way.name)
def test_settings_of_published_encoders(way):
    config = way.config(1, 3)
    assert (config.seed, config.encoder.whiten) == (1, 0)


def test_settings_of_a_run_that_starts_from_weights():
    assert new_config(None, real.ADAPT, published.LITE).encoder.name == "frames"
