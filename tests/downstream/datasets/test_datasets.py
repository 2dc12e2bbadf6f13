"""Miniatures of the official layouts; videos are empty files, since adapters look at names alone."""

import json
import os
import struct

import numpy as np
import pytest

from sora_video.base.errors import ConfigError, CorpusError, LabelsError
from sora_video.downstream.datasets.manifest import write_dataset
from sora_video.downstream.datasets.registry import DATASETS, open_dataset
from sora_video.downstream.datasets.youtube8m import read_features
from sora_video.pretrain.encoders.embeddings import read_embeddings
from sora_video.pretrain.video.corpus import open_corpus


def touch(root, *names):
    """Make empty files."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write(path, text):
    """Write a list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))


def columns(opened):
    """Each video's columns, by file name."""
    return {video.path.name: dict(video.columns) for video in opened.corpus.videos}


def ucf101(root):
    clips = [f"Archery/v_Archery_g{group:02}_c01.avi" for group in (1, 2, 3)]
    clips += [f"HandstandPushups/v_HandStandPushups_g{group:02}_c01.avi" for group in (1, 2, 3)]
    touch(root / "UCF-101", *clips)
    for number in (1, 2, 3):
        test = [clip for clip in clips if f"_g{number:02}_" in clip]
        train = [f"{clip} 1" for clip in clips if clip not in test]
        write(root / f"ucfTrainTestlist/trainlist{number:02}.txt", "\r\n".join(train) + "\r\n")
        write(root / f"ucfTrainTestlist/testlist{number:02}.txt", "\n".join(test) + "\n\n")
    return root


def hmdb51(root):
    names = {
        "brush_hair": ["April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "Film_brush_hair_u_nm_np1_ba_med_1.avi"],
        "wave": ["April_09_wave_u_nm_np1_ba_goo_0.avi", "Other_wave_u_nm_np1_ba_med_1.avi"],
    }
    for label, files in names.items():
        touch(root / label, *files)
        for number, marks in ((1, (1, 2)), (2, (2, 1)), (3, (1, 0))):
            lines = [f"{file} {mark} \n" for file, mark in zip(files, marks, strict=True)]
            write(root / f"testTrainMulti_7030_splits/{label}_test_split{number}.txt", "".join(lines))
    return root


def kth(root):
    for action in ("boxing", "walking"):
        touch(root / action, *(f"person{person:02}_{action}_d1_uncomp.avi" for person in (11, 19, 22)))
    return root


def kinetics(root):
    touch(
        root / "train",
        "abseiling/-3B32lodo2M_000059_000069.mp4",
        "air drumming/_dbcJuKJQNs_000040_000050.mp4",
    )
    touch(root / "val", "abseiling/0abcdefghij_000000_000010.mp4")
    head = "label,youtube_id,time_start,time_end,split,is_cc\n"
    train = head + 'abseiling,-3B32lodo2M,59,69,train,0\n"air drumming",_dbcJuKJQNs,40,50,train,0\n'
    write(root / "annotations/train.csv", train + "abseiling,goneforever,1,11,train,0\n")
    write(root / "annotations/val.csv", head + "abseiling,0abcdefghij,0,10,validate,0\n")
    write(root / "annotations/test.csv", "youtube_id,time_start,time_end,split\nzzzzzzzzzzz,0,10,test\n")
    return root


def ssv2(root):
    touch(root / "20bn-something-something-v2", "78687.webm", "74225.webm", "1420.webm")
    write(
        root / "labels/train.json",
        [
            {
                "id": "78687",
                "label": "holding potato next to bottle",
                "template": "Holding [something] next to [something]",
                "placeholders": ["potato", "bottle"],
            }
        ],
    )
    write(
        root / "labels/validation.json",
        [
            {
                "id": "74225",
                "label": "cube falling",
                "template": "[Something] falling",
                "placeholders": ["cube"],
            }
        ],
    )
    write(root / "labels/test.json", [{"id": "1420"}])
    return root


def diving48(root, test="zYHstCxnAPA"):
    names = {"train": "-mmq0PT-u8k_00155", "test": f"{test}_00361"}
    touch(root / "rgb", *(f"{name}.mp4" for name in names.values()))
    write(
        root / "Diving48_vocab.json",
        [["Back", "15som", "05Twis", "FREE"], ["Inward", "15som", "NoTwis", "PIKE"]],
    )
    for label, (side, name) in enumerate(names.items()):
        rows = [{"vid_name": name, "label": label, "start_frame": 0, "end_frame": 48}]
        write(root / f"Diving48_V2_{side}.json", rows)
    return root


MADE = {
    "ucf101": ucf101,
    "hmdb51": hmdb51,
    "kth": kth,
    "kinetics": kinetics,
    "ssv2": ssv2,
    "diving48": diving48,
}


def test_every_data_set_has_a_miniature():
    assert set(MADE) == {name for name in DATASETS.names() if DATASETS.load(name).read}


@pytest.mark.parametrize("name", MADE)
def test_a_manifest_is_the_corpus_that_was_read(name, tmp_path):
    opened = open_dataset(name, MADE[name](tmp_path / "set"))
    for place in (tmp_path / "set" / "list.csv", tmp_path / "elsewhere" / "list.csv"):
        written = write_dataset(name, tmp_path / "set", place)
        read = open_corpus(place)
        assert written.rows == len(read) == len(opened.corpus)
        for ours, theirs in zip(read.videos, opened.corpus.videos, strict=True):
            assert ours.path.samefile(theirs.path)
            assert dict(ours.columns) == dict(theirs.columns)
            assert (ours.start_s, ours.end_s) == (theirs.start_s, theirs.end_s)
    assert read.videos[0].columns["label"]
    assert {video.columns.get("split") for video in read.videos} <= {"train", "test", None}


def test_ucf101_has_three_splits_by_group(tmp_path):
    found = columns(open_dataset("ucf101", ucf101(tmp_path)))
    assert found["v_Archery_g02_c01.avi"] == {
        "label": "Archery",
        "group": "Archery_g02",
        "split": "train",
        "split1": "train",
        "split2": "test",
        "split3": "train",
    }
    assert found["v_HandStandPushups_g01_c01.avi"]["label"] == "HandstandPushups"


def test_hmdb51_leaves_clips_out_of_a_split(tmp_path):
    found = columns(open_dataset("hmdb51", hmdb51(tmp_path)))
    assert found["April_09_brush_hair_u_nm_np1_ba_goo_0.avi"]["group"] == "brush_hair/April_09"
    other = found["Other_wave_u_nm_np1_ba_med_1.avi"]
    assert (other["label"], other["split1"], other["split2"], "split3" in other) == (
        "wave",
        "test",
        "train",
        False,
    )


def test_kth_is_divided_by_person(tmp_path):
    opened = open_dataset("kth", kth(tmp_path))
    found = columns(opened)
    sides = {row["group"]: (row["split"], row["official"]) for row in found.values()}
    assert sides == {
        "person11": ("train", "train"),
        "person19": ("train", "validation"),
        "person22": ("test", "test"),
    }
    assert len(opened.missing) == 599 - 6


def test_kth_sequences_are_entries_of_their_own(tmp_path):
    lines = (
        "Training:   person11, 12",
        "",
        "person11_boxing_d1\t\tframes\t1-95, 96-185",
        "person13_x *missing*",
    )
    write(kth(tmp_path) / "00sequences.txt", "\n".join(lines))
    videos = open_dataset("kth", tmp_path).corpus.videos
    spans = [(one.start_s, one.end_s) for one in videos if one.path.name.startswith("person11_boxing")]
    assert spans == [(0.0, 3.8), (3.8, 7.4)]
    assert len(videos) == 7


def test_kinetics_names_what_is_gone(tmp_path):
    opened = open_dataset("kinetics", kinetics(tmp_path))
    found = columns(opened)
    assert opened.missing == ("goneforever_000001_000011",)
    assert found["_dbcJuKJQNs_000040_000050.mp4"] == {
        "label": "air drumming",
        "group": "_dbcJuKJQNs",
        "split": "train",
        "official": "train",
    }
    assert found["0abcdefghij_000000_000010.mp4"]["split"] == "test"


def test_kinetics_in_class_folders_needs_no_lists(tmp_path):
    with_lists = columns(open_dataset("kinetics", kinetics(tmp_path)))
    for path in (tmp_path / "annotations").iterdir():
        path.unlink()
    without = columns(open_dataset("kinetics", tmp_path))
    for name, row in with_lists.items():
        assert without[name] == {**row, "official": without[name]["official"]}


def test_something_v2_is_labelled_by_template(tmp_path):
    found = columns(open_dataset("ssv2", ssv2(tmp_path)))
    assert found == {
        "78687.webm": {"label": "Holding something next to something", "split": "train", "official": "train"},
        "74225.webm": {"label": "Something falling", "split": "test", "official": "validation"},
    }


def test_diving48_is_labelled_by_its_vocabulary(tmp_path):
    found = columns(open_dataset("diving48", diving48(tmp_path)))
    assert found["-mmq0PT-u8k_00155.mp4"] == {
        "label": "Back 15som 05Twis FREE",
        "group": "-mmq0PT-u8k",
        "split": "train",
    }


def test_a_split_that_leaks_is_refused_with_the_pairs(tmp_path):
    diving48(tmp_path, test="-mmq0PT-u8k")
    with pytest.raises(LabelsError, match=r"rgb/-mmq0PT-u8k_00155.mp4 and rgb/-mmq0PT-u8k_00361.mp4"):
        open_dataset("diving48", tmp_path)
    opened = open_dataset("diving48", tmp_path, groups=False)
    assert all("group" not in video.columns for video in opened.corpus.videos)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "ucfTrainTestlist/testlist02.txt").unlink(), "testlist02.txt is missing"),
        (lambda root: touch(root, "copy/v_Archery_g01_c01.mp4"), "is there as .* and as"),
        (lambda root: write(root / "ucfTrainTestlist/testlist01.txt", "A/strange.avi"), "not named like"),
        (lambda root: [path.unlink() for path in root.rglob("*.avi")], "holds none of the 6 videos"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(tmp_path, change, message):
    change(ucf101(tmp_path))
    with pytest.raises(CorpusError, match=message):
        open_dataset("ucf101", tmp_path)


def test_an_unknown_data_set_or_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="choose one of ucf101"):
        open_dataset("ucf102", tmp_path)
    with pytest.raises(CorpusError, match="no such folder"):
        open_dataset("ucf101", tmp_path / "nowhere")


def field(number, wire, content):
    """One field of a protocol buffer, by the rules of its encoding."""
    if wire == 2:
        return varint(number << 3 | 2) + varint(len(content)) + content
    return varint(number << 3) + varint(content)


def varint(value):
    """A number, 7 bits a byte."""
    parts = []
    while True:
        value, low = value >> 7, value & 0x7F
        parts.append(low | (0x80 if value else 0))
        if not value:
            return bytes(parts)


def feature(values):
    """A ``Feature`` of bytes, floats or integers."""
    if isinstance(values[0], bytes):
        return field(1, 2, b"".join(field(1, 2, value) for value in values))
    if isinstance(values[0], float):
        return field(2, 2, field(1, 2, struct.pack(f"<{len(values)}f", *values)))
    return field(3, 2, field(1, 2, b"".join(map(varint, values))))


def entries(features):
    """A map from names to messages."""
    pairs = (field(1, 2, name.encode()) + field(2, 2, content) for name, content in features.items())
    return b"".join(field(1, 2, pair) for pair in pairs)


def tfrecord(path, records):
    """A TFRecord file; nobody reads the checksums."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(struct.pack("<QI", len(one), 0) + one + b"\0\0\0\0" for one in records))


def test_video_level_features_become_embeddings(tmp_path):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3, 1024)).astype(np.float32)
    records = [
        field(
            1,
            2,
            entries(
                {
                    "id": feature([f"ab{number}".encode()]),
                    "labels": feature([number, 3000 + number]),
                    "mean_rgb": feature(vector.tolist()),
                    "mean_audio": feature([0.5] * 128),
                }
            ),
        )
        for number, vector in enumerate(vectors)
    ]
    tfrecord(tmp_path / "set/train00.tfrecord", records[:2])
    tfrecord(tmp_path / "set/validate00.tfrecord", records[2:])
    copy_hidden(tmp_path / "set")
    write_dataset("youtube8m", tmp_path / "set", tmp_path / "yt.csv")
    found, rows = read_embeddings(tmp_path / "yt.parquet"), open_corpus(tmp_path / "yt.csv", need_files=False)
    expected = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(found.vectors, expected, atol=1e-6)
    assert found.video_id.tolist() == [video.video_id for video in rows.videos] == ["ab0", "ab1", "ab2"]
    assert rows.videos[1].columns == {"label": "1", "labels": "1;3001", "split": "train"}
    assert rows.videos[2].columns["split"] == "test"
    assert read_features(tmp_path / "set", "audio").embeddings.dim == 128


def test_frame_level_features_are_a_slice_a_second(tmp_path):
    codes = np.random.default_rng(0).integers(0, 256, (5, 1024)).astype(np.uint8)
    steps = b"".join(field(1, 2, feature([row.tobytes()])) for row in codes)
    record = field(1, 2, entries({"id": feature([b"xyz"]), "labels": feature([7])}))
    tfrecord(tmp_path / "train1.tfrecord", [record + field(2, 2, entries({"rgb": steps}))])
    found = read_features(tmp_path).embeddings
    values = codes * (4 / 255) + (4 / 512 - 2)  # the starter code's way back from bytes
    np.testing.assert_allclose(
        found.vectors, values / np.linalg.norm(values, axis=1, keepdims=True), atol=1e-6
    )
    assert found.start_s.tolist() == [0, 1, 2, 3, 4]
    assert set(found.video_id) == {"xyz"}


def test_a_cut_off_table_is_named(tmp_path):
    tfrecord(tmp_path / "train1.tfrecord", [b"x" * 100])
    data = (tmp_path / "train1.tfrecord").read_bytes()
    (tmp_path / "train1.tfrecord").write_bytes(data[:-20])
    with pytest.raises(CorpusError, match=r"train1.tfrecord: is cut off"):
        read_features(tmp_path)
    with pytest.raises(CorpusError, match="holds no "):
        read_features(tmp_path / "nothing")


APPLE_DOUBLE = bytes.fromhex("0005160700020000") + b"Mac OS X        " + bytes(range(160, 200))
"""What a Mac writes beside each file on a disk that is not its own."""


def copy_hidden(root):
    """Put a hidden file beside every file, and all files of the set into the waste basket too."""
    for path in [path for path in root.rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(APPLE_DOUBLE)
        waste = root / ".Trash-1000" / path.name
        waste.parent.mkdir(exist_ok=True)
        waste.write_bytes(APPLE_DOUBLE)


@pytest.mark.parametrize("name", MADE)
def test_hidden_files_and_folders_are_passed_over(name, tmp_path):
    MADE[name](tmp_path)
    before = columns(open_dataset(name, tmp_path))
    copy_hidden(tmp_path)
    assert columns(open_dataset(name, tmp_path)) == before


def detection_lists(folder):
    """Lists of UCF101's detection task: fewer classes, names without ending."""
    for number in (1, 2, 3):
        for side in ("train", "test"):
            write(folder / f"{side}list{number:02}.txt", "Archery/v_Archery_g02_c01\n")


@pytest.mark.parametrize("folder", ["UCF101_Action_detection_splits", "zzz"])
def test_ucf101_passes_over_the_lists_of_another_task(tmp_path, folder):
    ucf101(tmp_path)
    before = columns(open_dataset("ucf101", tmp_path))
    detection_lists(tmp_path / folder)
    write(tmp_path / "hmdbTrainTestlist/trainlist01.txt", "cartwheel/A_cartwheel_f_cm_np1_ba_bad_8.avi 1\n")
    assert columns(open_dataset("ucf101", tmp_path)) == before


def test_lists_of_another_task_alone_are_named(tmp_path):
    ucf101(tmp_path)
    for path in (tmp_path / "ucfTrainTestlist").iterdir():
        path.unlink()
    detection_lists(tmp_path / "detection")
    with pytest.raises(CorpusError, match=r"detection/trainlist01\.txt: 'Archery/v_Archery_g02_c01' is not "):
        open_dataset("ucf101", tmp_path)


def lists_of(name, root):
    """The lists of a miniature."""
    MADE[name](root)
    return [
        path
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix in (".txt", ".csv", ".json")
    ]


@pytest.mark.parametrize("name", ["ucf101", "hmdb51", "kinetics", "ssv2", "diving48"])
def test_two_lists_of_one_name_that_both_fit_are_refused_unless_they_are_equal(name, tmp_path):
    path = lists_of(name, tmp_path)[-1]
    before = columns(open_dataset(name, tmp_path))
    (tmp_path / "copy").mkdir()
    copy = tmp_path / "copy" / path.name
    copy.write_bytes(path.read_bytes())
    assert columns(open_dataset(name, tmp_path)) == before
    if path.suffix == ".json":
        copy.write_text(json.dumps(json.loads(path.read_text())[:-1]))
    else:
        copy.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    places = sorted([copy, path])
    with pytest.raises(
        CorpusError, match=f"{path.name} is there as {places[0]} and as {places[1]}, which differ"
    ):
        open_dataset(name, tmp_path)


@pytest.mark.parametrize("name", ["ucf101", "hmdb51", "kinetics", "ssv2", "diving48"])
@pytest.mark.parametrize("content", [APPLE_DOUBLE, "é".encode("utf-16")])
def test_a_list_that_is_no_text_is_named_in_one_line(name, tmp_path, content):
    path = lists_of(name, tmp_path)[-1]
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=rf"\A(manifest )?{path}: [^\n]*(utf-8|UTF-8|column)[^\n]*\Z"):
        open_dataset(name, tmp_path)


def test_a_list_that_is_a_pipe_is_named(tmp_path):
    path = lists_of("hmdb51", tmp_path)[-1]
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CorpusError, match=rf"{path}: cannot be read: .*not a regular file"):
        open_dataset("hmdb51", tmp_path)


def test_seconds_of_kinetics_that_are_none_are_named(tmp_path):
    kinetics(tmp_path)
    head = "label,youtube_id,time_start,time_end,split\n"
    write(tmp_path / "annotations/val.csv", f"{head}abseiling,0abcdefghij,soon,10,validate\n")
    with pytest.raises(CorpusError, match=r"val\.csv: 'soon' is no number of seconds"):
        open_dataset("kinetics", tmp_path)
