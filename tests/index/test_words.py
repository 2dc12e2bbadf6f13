"""A library is searched by words."""

import numpy as np
import pytest

from sora_video.base.errors import ConfigError
from sora_video.index.build import build_library
from sora_video.index.example import Example, query_by_example
from sora_video.index.library import Library
from sora_video.index.localize import localize
from sora_video.pretrain.encoders.load import load_encoder


@pytest.fixture(scope="module")
def library(fetched, videos, tmp_path_factory):
    path = tmp_path_factory.mktemp("words") / "library"
    build_library(path, videos, fetched("hf:tiny/clip"))
    return Library.open(path)


def test_hits_are_those_of_the_highest_cosine(library, fetched):
    hits = localize(library, query_by_example(library, Example("text:a person falls"), top=3))
    (text,) = load_encoder(fetched("hf:tiny/clip")).embed_text(["a person falls"])
    best = {name: float((library.embeddings(name).vectors @ text).max()) for name in library.videos()}
    assert [hit.video_id for hit in hits] == sorted(best, key=best.get, reverse=True)[:3]
    np.testing.assert_allclose([hit.cosine for hit in hits], sorted(best.values())[::-1][:3], atol=1e-5)
    assert [hit.moments[0].likeness for hit in hits] == pytest.approx([hit.cosine for hit in hits], abs=1e-5)
    assert all(hit.lead is None and not hit.sure and not hit.aligned for hit in hits)


def test_other_encoders_have_no_words(library, tiny_run):
    with pytest.raises(ConfigError, match="has no text tower"):
        query_by_example(library, Example("text:a dog", model=tiny_run.path))
