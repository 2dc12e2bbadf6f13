import numpy as np

from sora_video.base.randomness import generator, torch_seed


def test_a_draw_is_a_function_of_its_key_alone():
    first = generator(0, "order", 3).random(5)
    generator(9, "other").random(7)
    np.testing.assert_array_equal(generator(0, "order", 3).random(5), first)


def test_keys_that_differ_in_one_part_or_in_where_parts_end_draw_differently():
    keys = [(0, "a", 1), (1, "a", 1), (0, "b", 1), (0, "a", 2), (0, "a", "1"), (0, "a1"), (0, 1, "a"), (1, 1)]
    assert len({generator(*key).random() for key in keys}) == len(keys)
    assert len({torch_seed(*key) for key in keys}) == len(keys)


def test_torch_seeds_fit_into_63_bits():
    assert all(0 <= torch_seed(number) < 2**63 for number in range(100))
