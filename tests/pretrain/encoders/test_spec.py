from pathlib import Path

import pytest

from sora_video.base.errors import ConfigError
from sora_video.pretrain.encoders.spec import Part, absolute_spec, near_spec, parse_spec, run_folder


def test_a_folder_is_a_run_whatever_its_name_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("first", "a+b", "a*2", "hf:x", "c@d", "e#2"):
        Path(name).mkdir()
        assert parse_spec(name) == (Part(run=Path(name)),)
    assert parse_spec("a+b+first*0.5") == (Part(run=Path("a+b")), Part(run=Path("first"), weight=0.5))
    assert parse_spec("e#2#look+a+b#motion*2") == (
        Part(run=Path("e#2"), by="look"),
        Part(run=Path("a+b"), by="motion", weight=2),
    )
    assert parse_spec("absent/run") == (Part(run=Path("absent/run")),)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("torchvision:r3d_18", [Part(kind="torchvision", name="r3d_18")]),
        ("hf:org/name@models/x", [Part(kind="hf", name="org/name", folder=Path("models/x"))]),
        ("timm:a*0.5+timm:b", [Part(kind="timm", name="a", weight=0.5), Part(kind="timm", name="b")]),
        ("runs/a*2+package:b", [Part(run=Path("runs/a"), weight=2), Part(kind="package", name="b")]),
        (" a * 0.5 + timm:b ", [Part(run=Path("a"), weight=0.5), Part(kind="timm", name="b")]),
        ("runs/a#motion", [Part(run=Path("runs/a"), by="motion")]),
        (
            "a#look*0.5 + package:b@c # motion",
            [
                Part(run=Path("a"), weight=0.5, by="look"),
                Part(kind="package", name="b", folder=Path("c"), by="motion"),
            ],
        ),
        ("a*1e-3", [Part(run=Path("a"), weight=0.001)]),
        ("~no-such-user/run", [Part(run=Path("~no-such-user/run"))]),
        ("a" * 300, [Part(run=Path("a" * 300))]),
    ],
)
def test_parts_are_told_apart(text, parts):
    assert parse_spec(text) == tuple(parts)


def test_the_weight_of_a_published_encoder_in_a_folder_is_read():
    assert parse_spec("package:b@c*.5")[0] == Part(kind="package", name="b", folder=Path("c"), weight=0.5)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "a++b", "+a", "hf:", "hf:x@", "hf:@x"),
        *("a*0+b", "timm:a*1..5", "a*-1", "a*nan", "a*inf+b", "a*", "2*a", "a*1e+3"),
        *("a#", "#look", "a#+b", "a#look*0"),
    ],
)
def test_what_is_no_spec_is_refused(text):
    with pytest.raises(ConfigError, match=r"must be encoders joined by \+"):
        parse_spec(text)


def test_a_spec_is_remembered_so_that_it_holds_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = absolute_spec("runs/a#look*0.5+package:b@c+timm:d")
    assert spec == f"{tmp_path}/runs/a#look*0.5+package:b@{tmp_path}/c+timm:d"
    assert parse_spec(spec)[1].folder == tmp_path / "c"
    assert run_folder("runs/a") == Path("runs/a")
    assert run_folder("timm:d") is None
    assert run_folder(spec) is None


@pytest.mark.parametrize("weight", [0.123456789012, 3.0, 1e6, 1e22, 1e-9])
def test_weights_are_remembered_with_all_their_digits(weight):
    spec = absolute_spec(f"timm:a*{weight:.20f}+timm:b")
    assert [part.weight for part in parse_spec(spec)] == [weight, 1]


def test_a_spec_near_a_folder_moves_with_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    library = tmp_path / "demo/library"
    library.mkdir(parents=True)
    (library.parent / "runs/a+b").mkdir(parents=True)
    spec = near_spec("demo/runs/a+b*0.5+package:b@demo/c+far/run+timm:d", library)
    assert spec == f"../runs/a+b*0.5+package:b@../c+{tmp_path}/far/run+timm:d"
    (tmp_path / "demo").rename(tmp_path / "moved")
    moved = absolute_spec(spec, tmp_path / "moved/library")
    here = tmp_path / "moved"
    assert moved == f"{here}/runs/a+b*0.5+package:b@{here}/c+{tmp_path}/far/run+timm:d"


def test_folders_that_exist_do_not_run_into_each_other(tmp_path):
    first, second = tmp_path / "a+b", tmp_path / "c@d"
    first.mkdir()
    second.mkdir()
    parts = parse_spec(f"hf:x/y@{first}*3+timm:z@{second}+{first}")
    assert parts == (
        Part(kind="hf", name="x/y", folder=first, weight=3),
        Part(kind="timm", name="z", folder=second),
        Part(run=first),
    )
    starred = tmp_path / "v*2"
    starred.mkdir()
    assert parse_spec(f"hf:x/y@{starred}") == (Part(kind="hf", name="x/y", folder=starred),)
    assert parse_spec(f"hf:x/y@{starred}*3")[0].weight == 3
