import pickle

import pytest

from sora_video.base import errors


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_one_of_ours(name):
    assert issubclass(getattr(errors, name), errors.SoraError)


def test_all_names_the_whole_tree():
    classes = {
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and thing.__module__ == errors.__name__
    }
    assert classes == set(errors.__all__)


def test_a_fingerprint_error_shows_both_and_the_remedy():
    error = errors.FingerprintError("the query", "a" * 64, "b" * 64, "embed it again")
    assert str(error) == "the query has fingerprint aaaaaaaaaaaa, expected bbbbbbbbbbbb; embed it again"
    assert (error.found, error.expected) == ("a" * 64, "b" * 64)


def test_a_fingerprint_error_travels_between_processes():
    error = errors.FingerprintError("the query", "a" * 64, "b" * 64, "embed it again")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.found, again.expected) == (str(error), error.found, error.expected)
