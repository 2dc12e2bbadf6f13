"""A folder of videos is looked at: files are added once they rest, and taken away once they are gone."""

import shutil

import pytest

from sora_video.index.library import Library
from sora_video.serve.jobs.folder import REST_S, FolderWatch


@pytest.fixture
def place(films, tmp_path):
    """A copy of the films."""
    return shutil.copytree(films, tmp_path / "place")


@pytest.fixture
def watched(place, built):
    """A watch of the folder, and the jobs that it asked for."""
    jobs = []
    listing = Library.open(built).list_videos()
    moved = [type(video)(**{**vars(video), "source": str(place)}) for video in listing]
    watch = FolderWatch(place, lambda: moved, lambda *job: jobs.append(job), takes_away=True)
    return watch, jobs, [video.video_id for video in listing]


def test_files_are_added_once_they_rest(watched, place):
    watch, jobs, names = watched
    watch.look(0)
    assert not jobs
    new = place / "new.mp4"
    new.write_bytes(b"first part")
    watch.look(REST_S - 1)
    assert not jobs
    watch.look(REST_S)
    assert [(kind, sorted(wanted["video_ids"])) for kind, wanted in jobs] == [("add", names)]
    new.write_bytes(b"first part, second part")
    watch.look(2 * REST_S)
    watch.look(3 * REST_S - 1)
    assert len(jobs) == 1
    watch.look(3 * REST_S)
    assert jobs[1:] == [("add", {"video_ids": ["new.mp4"]})]
    watch.look(9 * REST_S)
    assert len(jobs) == 2


def test_what_is_gone_is_taken_away_once_but_not_a_whole_folder(watched, place):
    watch, jobs, names = watched
    (place / names[0]).unlink()
    for now_s in (0, 1, 2):
        watch.look(now_s)
    assert jobs == [("remove", {"video_ids": [names[0]], "purge": False, "ignore": False})]
    shutil.rmtree(place)
    watch.look(3)
    place.mkdir()
    watch.look(4)
    assert len(jobs) == 1


def test_an_empty_folder_inside_may_be_a_disk_that_is_not_mounted(watched, place):
    watch, jobs, _ = watched
    disk = place / "disk" / "films"
    disk.mkdir(parents=True)
    first = watch.listing()[0]
    held = [type(first)(**{**vars(first), "video_id": f"disk/films/{name}.mp4"}) for name in "ab"]
    watch.listing = lambda: held
    for folder in (disk, disk.parent):
        watch.look(0)
        assert not jobs
        folder.rmdir()
    watch.look(1)
    assert [wanted["video_ids"] for _, wanted in jobs] == [[video.video_id for video in held]]


def test_a_name_with_a_prefix_is_not_gone(watched, place):
    watch, jobs, names = watched
    one = watch.listing()[0]
    held = [
        type(one)(**{**vars(one), "video_id": f"north/{name}", "path": str(place / name)})
        for name in names[:2]
    ]
    watch.listing = lambda: held
    watch.look(0)
    assert not jobs
    (place / names[0]).unlink()
    watch.look(1)
    assert [wanted["video_ids"] for _, wanted in jobs] == [[f"north/{names[0]}"]]


def test_nothing_is_taken_away_unless_asked(watched, place):
    watch, jobs, names = watched
    watch.takes_away = False
    (place / names[0]).unlink()
    watch.look(0)
    assert not jobs


@pytest.mark.slow
def test_a_server_follows_its_folder(place, built, serve, tmp_path):
    import httpx

    from tests.serve.test_jobs import until

    library = shutil.copytree(built, tmp_path / "films.library")
    shutil.copy(place / "old.avi", place / "newer.avi")
    with (
        serve(library, videos=place, follows=True, state=tmp_path / "state") as running,
        httpx.Client(base_url=running.address) as client,
    ):

        def names():
            return {video["video_id"] for video in client.get("/api/v1/videos").json()["videos"]}

        before = names()
        until(lambda: "newer.avi" in names() or None, "the new film")
        assert names() - before == {"newer.avi"}
