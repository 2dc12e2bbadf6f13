import pytest

from sora_video.base.errors import ConfigError, StorageError
from sora_video.base.folders import check_new, new_folder


def test_what_is_missing_or_empty_is_new(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("missing", "empty"):
        assert check_new("--out", tmp_path.relative_to(tmp_path) / name) == tmp_path / name


def test_what_holds_something_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(ConfigError, match=f"--out {place}: exists already; choose another folder"):
            check_new("--out", place)


def test_a_folder_appears_whole(tmp_path):
    target = tmp_path / "deep" / "made"
    with new_folder(target) as folder:
        (folder / "part").write_text("one")
        assert not target.exists()
    assert (target / "part").read_text() == "one"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_nothing(tmp_path):
    (tmp_path / "made").mkdir()
    with (
        pytest.raises(StorageError, match=f"cannot write {tmp_path / 'made'}"),
        new_folder(tmp_path / "made"),
    ):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == [tmp_path / "made"]
    assert not any((tmp_path / "made").iterdir())
