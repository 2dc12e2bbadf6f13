"""The table of what large libraries need, against sums by hand."""

import pytest

from benchmarks.billion import Rates, needs

ROUND = Rates(
    dim=500,
    number_bytes=2,
    table_bytes=30.0,
    index_bytes=70.0,
    part_bytes=2000.0,
    embed_s=100.0,
    build_s=50_000.0,
    products_s=1e11,
    index_us=50.0,
    rounds=10,
    shard=1_000_000,
)


def test_a_library_of_one_shard():
    need = needs(1_000_000, ROUND)
    assert (need.shards, need.lists) == (1, 4096)  # 4 times the root, and a power of two
    assert (need.vectors_gb, need.index_gb, need.parts_gb) == pytest.approx((1.0, 0.1, 2.0))
    assert need.embed_days * 86400 == pytest.approx(10_000)
    assert need.build_h * 3600 == pytest.approx(20)
    assert need.tune_h * 3600 == pytest.approx(50 + (640 * 4096 + 1_000_000) * 4096 * 500 / 1e11)


def test_shards_are_as_few_and_as_equal_as_may_be():
    one, three = needs(1_000_000, ROUND), needs(3_000_000, ROUND)
    assert (three.shards, three.lists, three.build_h, three.tune_h) == (3, 4096, one.build_h, one.tune_h)
    assert three.vectors_gb == pytest.approx(3 * one.vectors_gb)
    more = needs(3_000_001, ROUND)
    assert more.shards == 4
    assert more.build_h == pytest.approx(750_001 / 50_000 / 3600)
