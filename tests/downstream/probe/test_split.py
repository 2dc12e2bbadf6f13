import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from sora_video.base.errors import LabelsError
from sora_video.downstream.probe.labels import column_of, hold_out, plain_sides, read_split
from sora_video.downstream.probe.metrics import balanced_accuracy
from sora_video.downstream.probe.split import Split, check_split, drop_rows
from sora_video.pretrain.video.corpus import Corpus, Video


@pytest.fixture
def corpus_of(tmp_path):
    """A function from rows of columns to a corpus whose files exist."""

    def make(rows):
        videos = []
        for number, row in enumerate(rows):
            path = tmp_path / f"{number}.mp4"
            path.touch()
            columns = {key: value for key, value in row.items() if value}
            videos.append(Video(video_id=path.name, path=path, columns=columns))
        return Corpus(tmp_path, tuple(videos))

    return make


def rows(text):
    """Rows from words such as ``a/g1/train``."""
    return [dict(zip(("label", "group", "split"), word.split("/"), strict=True)) for word in text.split()]


def test_rows_go_where_their_split_says(corpus_of):
    split = read_split(corpus_of(rows("a/g1/train b/g2/train a/g3/test b/g4/test a/g5/val /g6/train")))
    assert split.train.tolist() == [0, 1]
    assert split.test.tolist() == [2, 3]
    assert split.classes == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a/g1/train a/g2/train", "only class 'a' has training rows|no labelled row has split=test"),
        ("a/g1/train", "no labelled row has split=test"),
        ("a;b/g1/train b/g2/train c;a/g3/test", "class 'c' has test rows but no training row"),
        ("a/g1/train b/g2/train a/g1/test", "group 'g1' is in train and in test"),
        ("a/g1/train a/g2/train a/g3/test", "only class 'a' has training rows"),
        ("a/g1/train b/g2/train c/g3/test", "class 'c' has test rows but no training row"),
        ("a/g1/train b/g2/train", "no labelled row has split=test"),
        ("/g1/train /g2/test", "label column 'label' is in no row"),
        ("a/g1/ b/g2/", "split column 'split' is in no row"),
    ],
)
def test_unusable_labels_are_refused_by_name(corpus_of, text, message):
    with pytest.raises(LabelsError, match=message) as caught:
        read_split(corpus_of(rows(text)))
    assert "\n" not in str(caught.value)


def test_sides_are_read_in_any_case_and_others_are_named(corpus_of, capsys):
    corpus = plain_sides(
        corpus_of(rows("a/g1/Train b/g2/TRAIN a/g3/test b/g4/Test a/g5/val a/g6/val a/g7/")), "split"
    )
    split = read_split(corpus)
    assert (split.train.tolist(), split.test.tolist()) == ([0, 1], [2, 3])
    said = capsys.readouterr().err
    assert said == "warning: split: rows are ignored that are neither train nor test: 2 of 'val'\n"


def test_columns_are_found_in_any_case(corpus_of):
    corpus = corpus_of([{"Colour": "red", "place": "here", "Place": "there"}])
    assert [column_of(corpus, name) for name in ("colour", "Colour", "PLACE", "place", "gone")] == [
        "Colour",
        "Colour",
        "PLACE",
        "place",
        "gone",
    ]


def test_absent_files_are_refused_by_name(corpus_of):
    corpus = corpus_of(rows("a/g1/train b/g2/train a/g3/test"))
    corpus.videos[1].path.unlink()
    with pytest.raises(LabelsError, match=r"1 labelled files do not exist, the first is .*1\.mp4"):
        read_split(corpus)


def test_two_spans_of_one_video_may_not_cross_the_split(corpus_of):
    corpus = corpus_of(rows("a/g1/train b/g2/train a/g3/test"))
    twice = Video(video_id="0.mp4", path=corpus.videos[0].path, columns={"label": "a", "split": "test"})
    with pytest.raises(LabelsError, match=r"video '.*0\.mp4' is in train and in test"):
        read_split(Corpus(corpus.root, (*corpus.videos, twice)))


def test_leaks_are_named_with_their_pairs(corpus_of):
    words = [f"{name}/g{number}/{side}" for number in range(5) for name in "ab" for side in ("train", "test")]
    with pytest.raises(LabelsError) as caught:
        read_split(corpus_of(rows(" ".join(words))))
    assert str(caught.value) == (
        "group 'g0' is in train and in test (0.mp4, 1.mp4), 'g1' is in train and in test (4.mp4, 5.mp4), "
        "'g2' is in train and in test (8.mp4, 9.mp4) and 2 more; keep each on one side"
    )


def twice(corpus, row, **columns):
    """The corpus with another row of the same file."""
    video = corpus.videos[row]
    again = Video(video_id=f"again {video.video_id}", path=video.path, columns={**video.columns, **columns})
    return Corpus(corpus.root, (*corpus.videos, again))


def test_a_row_that_stands_twice_counts_once(corpus_of):
    corpus = corpus_of(rows("a/g1/train b/g2/train a/g3/test"))
    for row, (train, test) in enumerate([([0, 1], [2])] * 3):
        split = read_split(twice(corpus, row))
        assert (split.train.tolist(), split.test.tolist()) == (train, test)


def test_spans_of_a_file_are_rows_of_their_own(corpus_of):
    corpus = corpus_of(rows("a/g1/train b/g2/train a/g3/test"))
    path = corpus.videos[0].path
    span = Video(
        video_id="0.mp4", path=path, start_s=1.0, columns={"label": "b", "group": "g1", "split": "train"}
    )
    assert read_split(Corpus(corpus.root, (*corpus.videos, span))).train.tolist() == [0, 1, 3]


def test_labels_that_contradict_each_other_are_refused(corpus_of):
    corpus = corpus_of(rows("a/g1/train b/g2/train a/g3/test"))
    with pytest.raises(
        LabelsError, match=r"0\.mp4' is labelled 'a' \(as '0\.mp4'\) and 'b'; keep one, or join"
    ):
        read_split(twice(corpus, 0, label="b"))


def test_the_same_content_under_two_names_may_not_cross_the_split(corpus_of):
    corpus = corpus_of(rows("a/g1/train b/g2/train a/g3/test"))
    split = read_split(corpus)
    with pytest.raises(LabelsError, match=r"video 'x' is in train and in test \(0\.mp4, 2\.mp4\)"):
        check_split(split, ["x", "y", "x"], corpus.videos)
    assert check_split(split, ["x", "y", "z"], corpus.videos).train.tolist() == [0, 1]


def test_rows_may_have_several_classes(corpus_of):
    split = read_split(corpus_of(rows("a;b/g1/train b/g2/train c;/g3/train b;a/g4/test c/g5/test")))
    assert split.multi
    assert split.classes == ["a", "b", "c"]
    assert split.targets.astype(int).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 1]]


def test_the_order_of_several_classes_contradicts_nothing(corpus_of):
    corpus = corpus_of(rows("a;b/g1/train b/g2/train a/g3/test"))
    assert read_split(twice(corpus, 0, label="b;a")).train.tolist() == [0, 1]


def test_many_rows_are_validated_by_one_fold():
    labels = np.array(list("abc"))[np.arange(5001) % 3]
    for groups in (np.arange(5001), np.arange(5001) // 7):
        split = Split(labels, groups.astype(str), np.arange(5001), np.zeros(0, int))
        ((fit, check),) = split.pairs
        assert len(check) == pytest.approx(1000, abs=10)
        assert not set(split.groups[fit]) & set(split.groups[check])


def test_folds_share_no_group_and_cover_the_training_rows():
    rng = np.random.default_rng(0)
    labels = np.array(list("abc"))[rng.integers(0, 3, 90)]
    groups = np.array([f"g{number}" for number in rng.integers(0, 12, 90)])
    split = Split(labels, groups, np.arange(10, 80), np.arange(10))
    pairs = split.pairs
    assert len(pairs) == 5
    assert sorted(np.concatenate([check for _, check in pairs])) == list(range(70))
    for fit, check in pairs:
        assert not set(groups[split.train][fit]) & set(groups[split.train][check])


def test_one_group_gives_no_folds():
    split = Split(np.array(["a", "b", "a"]), np.array(["g"] * 3), np.array([0, 1]), np.array([2]))
    assert split.pairs == []


def test_balanced_accuracy_is_scikit_learns():
    rng = np.random.default_rng(1)
    truth, predicted = (np.array(list("abcd"))[rng.choice(4, 200, p=(0.7, 0.1, 0.1, 0.1))] for _ in range(2))
    assert balanced_accuracy(truth, predicted) == pytest.approx(balanced_accuracy_score(truth, predicted))


def test_a_prediction_of_a_class_without_test_rows_is_wrong():
    assert balanced_accuracy(np.array(["a", "b"]), np.array(["a", "z"])) == 0.5


def test_hold_out_takes_a_third_of_each_class_the_same_way_each_time(corpus_of):
    corpus = corpus_of([{"label": label} for label in "aaaaaabbbbbbbbb"])
    divided = hold_out(corpus)
    sides = [(video.columns["label"], video.columns["split"]) for video in divided.videos]
    assert sides.count(("a", "test")) == 2
    assert sides.count(("b", "test")) == 3
    assert hold_out(corpus) == divided
    assert hold_out(corpus, seed=1) != divided


@pytest.mark.parametrize(
    ("unreadable", "message"),
    [
        ([2], r"class 'c' has test rows but none of its 1 training rows can be read, the first is 2\.mp4"),
        ([0, 1], "class 'a' has test rows but none of its 2 training rows"),
        ([4, 5, 6], "too few labelled videos can be read"),
        ([0, 1, 2], "too few labelled videos can be read"),
    ],
)
def test_a_split_is_checked_again_when_rows_leave_it(corpus_of, unreadable, message):
    corpus = corpus_of(rows("a/g1/train a/g2/train c/g3/train b/g4/train a/g5/test b/g6/test c/g7/test"))
    dropped = np.isin(np.arange(7), unreadable)
    with pytest.raises(LabelsError, match=message):
        drop_rows(read_split(corpus), dropped, list("0123456"), corpus.videos)


def test_a_class_that_leaves_both_sides_is_named(corpus_of):
    corpus = corpus_of(rows("a/g1/train b/g2/train c/g3/train a/g4/test c/g5/test"))
    left = drop_rows(read_split(corpus), np.isin(np.arange(5), [2, 4]), list("01234"), corpus.videos)
    assert (left.classes, left.lost) == (["a", "b"], ("c",))
    assert (left.train.tolist(), left.test.tolist()) == ([0, 1], [3])


def test_rows_of_several_classes_leave_with_all_of_them(corpus_of):
    corpus = corpus_of(rows("a;c/g1/train b/g2/train a/g3/train a;c/g4/test"))
    with pytest.raises(LabelsError, match="class 'c' has test rows but none of its 1 training rows"):
        drop_rows(read_split(corpus), np.isin(np.arange(4), [0]), list("0123"), corpus.videos)


def test_a_class_folder_with_one_video_is_refused_with_the_remedy(corpus_of):
    with pytest.raises(
        LabelsError, match=r"class folder 'b' has 1 video \(2\.mp4\).*add a video to the folder"
    ):
        hold_out(corpus_of([{"label": label} for label in "aab"]))
