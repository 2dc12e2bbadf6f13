"""One suite for both: the local functions, and the client of a server."""

from functools import cache

import numpy as np
import pytest
from PIL import Image

from sora_video import Client, Condition, Example, Where, find_duplicates, localize, query_by_examples
from sora_video.base.errors import ConfigError, SoraError
from sora_video.base.plain import plain
from sora_video.index.encoder import open_encoder
from sora_video.index.library import Library
from sora_video.pretrain.video.pictures import pictures_at


class Local:
    """The local functions under the names of the client."""

    def __init__(self, folder, films):
        self.folder, self.films = folder, films
        self.encoders = cache(open_encoder)

    @property
    def library(self):
        return Library.open(self.folder)

    def search(self, example, **how):
        examples = [example] if isinstance(example, Example) else example
        return localize(
            self.library, query_by_examples(self.library, examples, encoders=self.encoders, **how)
        )

    def search_span(self, video_id, start_s=None, end_s=None, *, by=None, **how):
        example = Example(self.films / video_id, start_s=start_s, end_s=end_s, by=by)
        return self.search(example, **how)

    def find_duplicates(self, *values, **how):
        return find_duplicates(self.library, *values, **how)

    def list_videos(self, where=None):
        return self.library.list_videos(where)

    def attributes(self, video_id):
        return self.library.attributes(video_id)

    def set_attributes(self, changes):
        self.library.set_attributes(changes)


@pytest.fixture(scope="module")
def local(folder, films):
    return Local(folder, films)


@pytest.fixture(params=["local", "client"])
def side(request, local, running):
    return local if request.param == "local" else Client(running.address)


def rounded(value):
    """Plain values, of which numbers are close to equal ones."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return pytest.approx(value, abs=1e-5) if isinstance(value, float) else value


@pytest.fixture
def ask(side, local):
    """A function that asks one side, and compares what the client is told with what the functions say.

    Sums of float32 differ in their last digits by what was computed together.
    """

    def both(question):
        answer = question(side)
        if side is not local:
            assert plain(answer) == rounded(plain(question(local)))
        return answer

    return both


@pytest.fixture(scope="module")
def clip(films):
    return sorted((films / "yard").glob("fi*.mp4"))[0]


def test_a_file_of_the_library_is_found_in_itself(ask, films, clip):
    hits = ask(lambda side: side.search(Example(clip), top=3))
    assert hits[0].video_id == clip.relative_to(films).as_posix()
    assert hits[0].cosine == pytest.approx(1, abs=1e-5)
    assert hits[0].aligned


@pytest.mark.parametrize(
    "how",
    [
        {"top": 1},
        {"exclude": ["yard/copy of a clip.mp4", "old.avi"]},
        {"where": Where(attributes={"camera": 1})},
        {"where": Where(conditions=(Condition("camera", ">", 0),), videos="yard/*", start_s=0.5)},
    ],
)
def test_filters_hold(ask, local, how):
    hits = ask(lambda side: side.search(Example("slice:3"), **how))
    assert hits
    assert len(hits) <= how.get("top", 10)
    assert not {hit.video_id for hit in hits} & {*how.get("exclude", ())}
    for hit in hits:
        where = how.get("where", Where())
        assert where.takes(local.attributes(hit.video_id))
        assert where.names(hit.video_id)


def test_slices_vectors_and_spans_are_examples_too(ask, local, tmp_path, clip, films):
    name = clip.relative_to(films).as_posix()
    number = int(local.library.slices(name).slice_id[0])
    by_slice = ask(lambda side: side.search(Example(f"slice:{number}")))
    assert name not in {hit.video_id for hit in by_slice}
    np.save(tmp_path / "rows.npy", local.library.embeddings(name).vectors)
    assert ask(lambda side: side.search(Example(tmp_path / "rows.npy")))[0].video_id == name
    assert ask(lambda side: side.search_span(name, 0, 1, top=2))[0].video_id == name


def test_images_are_a_film(ask, tmp_path, clip):
    for number, picture in enumerate(pictures_at(clip, 96, np.arange(12) / 8)):
        Image.fromarray(picture).save(tmp_path / f"shot {number}.png")
    assert ask(lambda side: side.search(Example(tmp_path, fps=8)))


def test_several_examples_are_searched_for_at_once(ask, local, tmp_path, films, clip):
    slices = [Example("slice:0"), Example("slice:5")]
    hits = ask(lambda side: side.search(slices))
    own = {str(local.library.slice(number).video_id[0]) for number in (0, 5)}
    assert hits
    assert not own & {hit.video_id for hit in hits}
    (tmp_path / "shots").mkdir()
    for number, picture in enumerate(pictures_at(clip, 96, np.arange(12) / 8)):
        Image.fromarray(picture).save(tmp_path / "shots" / f"{number}.png")
    files = [Example("slice:0"), Example(clip), Example(films / "old.avi"), Example(tmp_path / "shots")]
    assert not any(hit.aligned for hit in ask(lambda side: side.search(files, top=4)))


def test_the_list_of_videos_is_that_of_the_library(side, local):
    wanted = [(v.video_id, v.slices, v.attributes) for v in local.library.list_videos()]
    assert [(v.video_id, v.slices, v.attributes) for v in side.list_videos()] == wanted
    some = side.list_videos(Where(videos="yard/*"))
    assert {v.video_id for v in some} == {name for name, *_ in wanted if name.startswith("yard/")}


def test_attributes_are_set_and_taken_away(side, local):
    name = local.library.videos()[0]
    side.set_attributes({name: {"place": "päth", "speed": 2.5, "indoors": True}})
    assert side.attributes(name).items() >= {"place": "päth", "speed": 2.5, "indoors": True}.items()
    side.set_attributes({name: {"place": None, "speed": None, "indoors": None}})
    assert side.attributes(name) == local.attributes(name) == {"camera": 0}


def test_duplicates_are_the_same(ask):
    groups = ask(lambda side: side.find_duplicates(0.9))
    assert any("yard/copy of a clip.mp4" in group.videos for group in groups)


@pytest.mark.parametrize(
    ("example", "said"),
    [
        (Example("slice:999999"), "has no slice 999999"),
        (Example("text:a dog"), "has no text tower"),
        (Example("slice:0", by="smell"), "smell"),
        ([Example("slice:0"), Example("text:a dog")], "words beside others"),
        ([], "there are none"),
    ],
)
def test_mistakes_are_told_in_one_line(side, example, said):
    with pytest.raises(SoraError, match=said) as told:
        side.search(example)
    assert "\n" not in str(told.value)


def test_nothing_is_set_where_one_video_is_unknown(side, local):
    before = local.list_videos()
    with pytest.raises(SoraError, match=r"no video nowhere\.mp4"):
        side.set_attributes({before[0].video_id: {"camera": 9}, "nowhere.mp4": {"camera": 9}})
    assert local.list_videos() == before


def test_jobs_are_waited_for(shelf, serve, films):
    library = Library.open(shelf)
    names = library.videos()
    with serve(shelf, videos=films) as running:
        client = Client(running.address)
        assert client.remove_videos([names[0]], ignore=False) == {"removed": 1}
        added = client.add_videos()
        assert (added["added"], added["unreadable"]) == (1, [])
        client.set_labels({name: "ab"[number % 2] for number, name in enumerate(names)})
        client.set_labels({}, spans={(names[0], 0.5, 1): "a"})
        labels, (span,) = client.labels()
        assert {name: each["label"] for name, each in labels.items()} == {
            name: "ab"[number % 2] for number, name in enumerate(names)
        }
        assert span == (names[0], 0.5, 1.0, {"label": "a"})
        assert client.train("both")["tasks"][0]["classes"] == ["a", "b"]
        (answer,) = client.classify([names[0]], head="both")
        assert answer["video_id"] == names[0]
        with pytest.raises(SoraError, match="has none of these videos"):
            client.remove_videos(["nowhere.mp4"])


def test_an_address_that_is_none_and_a_server_that_is_away_are_told(running):
    with pytest.raises(ConfigError, match="must be the address of a server"):
        Client("ftp://somewhere")
    with pytest.raises(SoraError, match="cannot be reached"):
        Client("http://127.0.0.1:9").info()
    with pytest.raises(ConfigError, match="no such file"):
        Client(running.address).search(Example("missing.mp4"))
