"""Manifests as spreadsheet programs and people save them."""

import unicodedata
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sora_video.base.errors import CorpusError
from sora_video.pretrain.video.corpus import open_corpus

ROWS = [
    ["path", "label", "group", "start_s", "end_s", "note"],
    ["clips/a.mp4", "hoch springen", "1", "0.5", "2.25", "a, b; c"],
    ["clips/ü.mp4", "Küche", "2", "", "", 'said "so"'],
    ["b.mp4", "run", "3", "1", "", "two\nlines"],
]
EXPECTED = [
    ("clips/a.mp4", 0.5, 2.25, {"label": "hoch springen", "group": "1", "note": "a, b; c"}),
    ("clips/ü.mp4", 0.0, None, {"label": "Küche", "group": "2", "note": 'said "so"'}),
    ("b.mp4", 1.0, None, {"label": "run", "group": "3", "note": "two\nlines"}),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the rows name."""
    (tmp_path / "clips").mkdir()
    for name in ("clips/a.mp4", "clips/ü.mp4", "b.mp4"):
        (tmp_path / name).touch()
    return tmp_path


def saved(path: Path, rows, separator=",", ends="\r\n", encoding="utf-8", before="") -> Path:
    """Rows as a program writes them: cells with quotes, separators or line ends in quotes."""

    def cell(text):
        quoted = any(letter in text for letter in f'"{separator}\n')
        return '"' + text.replace('"', '""') + '"' if quoted else text

    lines = [separator.join(map(cell, row)) for row in rows]
    path.write_bytes((before + ends.join([*lines, ""])).encode(encoding))
    return path


def read(path):
    return [(v.video_id, v.start_s, v.end_s, dict(v.columns)) for v in open_corpus(path).videos]


def refusal(path):
    with pytest.raises(CorpusError) as caught:
        open_corpus(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"manifest {path}")
    return str(caught.value)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_manifest_reads_alike_however_it_is_saved(folder, separator, ends, encoding, capsys):
    assert read(saved(folder / "list.csv", ROWS, separator, ends, encoding)) == EXPECTED
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["list.csv", "LIST.CSV", "list.tsv", "list.tab", "list.txt"])
def test_a_manifest_is_known_by_its_ending(folder, name):
    assert read(saved(folder / name, ROWS, "\t", encoding="utf-16")) == EXPECTED


def test_windows_1252_is_read_and_told_with_an_example(folder, capsys):
    path = saved(folder / "list.csv", ROWS, ";", encoding="cp1252")
    assert read(path) == EXPECTED
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"warning: manifest {path}: is not UTF-8; read as Windows-1252 ('clips/ü.mp4' on line 3); if that is "
        "wrong, save it as CSV in UTF-8"
    )


def test_the_line_by_which_excel_names_the_separator_is_no_row(folder):
    rows = [["path", "label"], ["b.mp4", "x"], ["", "y"]]
    path = saved(folder / "list.csv", rows, "|", before="sep=|\r\n")
    assert "line 4: path is empty" in refusal(path)
    assert read(saved(path, rows[:2], "|", before="Sep=|\r\n")) == [("b.mp4", 0, None, {"label": "x"})]


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("start", "End (s)", [("start", "start_s"), ("End (s)", "end_s")]),
        ("start_s", "stop time", [("stop time", "end_s")]),
        ("started", "camera", []),
    ],
)
def test_times_in_columns_of_other_names_are_told(folder, start, end, said, capsys):
    path = saved(folder / "list.csv", [["path", start, end], ["b.mp4", "1", "1:15"], ["b.mp4", "", ""]])
    read(path)
    assert capsys.readouterr().err.splitlines() == [
        f"warning: manifest {path}: column {name!r} is taken for an attribute; call it {meant} if it has the "
        "times of spans"
        for name, meant in said
    ]
    read(saved(path, [["path", "start"], ["b.mp4", "on the left"]]))
    assert capsys.readouterr().err == ""


def test_headers_may_be_in_any_case_and_have_blanks_about_them(folder):
    rows = [["", " PATH ", "\ufeffLabel", "Start_S", "Camera ", ""], ["0", "b.mp4", "x", "1", "7", ""]]
    assert read(saved(folder / "list.csv", rows)) == [("b.mp4", 1.0, None, {"label": "x", "Camera": "7"})]


def test_empty_rows_and_blanks_about_cells_are_left_out(folder):
    rows = [
        [""],
        *ROWS[:1],
        *([f" {text}\u00a0" for text in row] for row in ROWS[1:]),
        [],
        [""] * 9,
        [" "] * 6,
    ]
    assert read(saved(folder / "list.csv", rows)) == EXPECTED


def test_paths_of_other_systems_are_found(folder):
    decomposed = unicodedata.normalize("NFD", "clips/ü.mp4")
    (folder / " b.mp4").touch()
    (folder / "odd\\name.mp4").touch()
    names = [
        "clips\\a.mp4",
        ".\\clips\\ü.mp4",
        decomposed,
        " b.mp4",
        "b.mp4 ",
        "odd\\name.mp4",
        "gone\\c.mp4",
    ]
    found = read(saved(folder / "list.csv", [["path"], *([name] for name in names)]))
    assert [row[0] for row in found] == [
        "clips/a.mp4",
        "clips/ü.mp4",
        "clips/ü.mp4",
        " b.mp4",
        "b.mp4",
        "odd\\name.mp4",
        "gone/c.mp4",
    ]


@pytest.mark.parametrize(
    ("separator", "text", "seconds"),
    [
        (";", "1,5", 1.5),
        (";", "1,500", 1.5),
        (";", ",5", 0.5),
        ("\t", "1,5", 1.5),
        (",", "1,25", 1.25),
        (",", "1:15", 75),
        (";", "0:01:15,5", 75.5),
        (",", "0:01:15.5", 75.5),
    ],
)
def test_times_are_read_as_people_write_them(folder, separator, text, seconds):
    assert (
        read(saved(folder / "list.csv", [["path", "start_s"], ["b.mp4", text]], separator))[0][1] == seconds
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"path,label,LABEL\nb.mp4,x,y\n", "line 1: columns 2 and 3 are both named 'label'; rename one"),
        (b"path,Camera,Camera\nb.mp4,1,2\n", "line 1: columns 2 and 3 are both named 'Camera'; rename one"),
        (
            b"path,label\nb.mp4,x\na, b.mp4,x\n",
            "line 3: has more cells between commas than the 2 of the header",
        ),
        (b"path;label\nb.mp4;x;y\n", "put a cell that holds ';' in quotes"),
        (b'path,label\n"b\nb".mp4,x\n', "line 2: a quoted cell cannot be read"),
        (b'path,label\nb.mp4,x\n"b.mp4,x\nb.mp4,x\n', "line 3: a quoted cell cannot be read: unexpected end"),
        (b'path,label\n"b.mp4",x\n\n"c\nd.mp4",x\n,"y\nz"\n', "line 6: path is empty"),
        (b'path,start_s\nb.mp4,"1,500"\n', "start_s='1,500' can be read in two ways; write 1.500, or 1500"),
        (b"path,start_s\nb.mp4,1:75\n", "start_s='1:75' is not a time in seconds; write 75, 1:15 or 0:01:15"),
        (b"path,label\nb.mp4,\x81\n", "cannot be read: line 2 is neither UTF-8 nor Windows-1252"),
        (b"path,label\nb.mp4,\0\n", "is no text, it has zero bytes"),
        (b"\xff\xfep\0a\0t", "cannot be read as utf-16"),
        (b"My clips\n\npath,label\nb.mp4,x\n", "has no column 'path', only My clips; the first line names"),
        (b"\r\n;;\r\n", "has no rows"),
        (b"PK\x03\x04 and more", "is a workbook of a spreadsheet program, not CSV; open it and choose File"),
    ],
)
def test_what_cannot_be_read_is_refused_with_line_and_remedy(folder, content, expected):
    (folder / "list.csv").write_bytes(content)
    assert expected in refusal(folder / "list.csv")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("list.xlsx", "is an Excel workbook, not CSV; open it and choose File > Save As > CSV UTF-8"),
        ("list.XLS", "is an Excel workbook, not CSV"),
        ("list.ods", "is a LibreOffice spreadsheet, not CSV; open it and choose File > Save As > Text CSV"),
        ("list.numbers", "File > Export To > CSV"),
    ],
)
def test_a_workbook_is_refused_with_how_to_save_it(folder, name, expected):
    (folder / name).write_bytes(b"PK\x03\x04 and more")
    assert expected in refusal(folder / name)


def test_a_manifest_of_which_no_file_exists_shows_what_was_tried(folder, monkeypatch, tmp_path_factory):
    names = [f"{number}.mp4" for number in range(5)]
    path = saved(folder / "list.csv", [["path"], *([name] for name in [*names, *names])])
    tried = ", ".join(str(folder / name) for name in names[:3])
    assert f"none of its 5 files exists: {tried}, …; paths are relative to the manifest's" in refusal(path)
    assert len(open_corpus(path, need_files=False)) == 10
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    path = saved(elsewhere / "list.csv", [["path"], ["b.mp4"]])
    monkeypatch.chdir(folder)
    assert "they exist below the current folder, but paths are relative to the manifest's" in refusal(path)
    path = saved(elsewhere / "list.csv", [["path"], ["C:\\Users\\me\\b.mp4"]])
    assert "they are paths of a Windows machine" in refusal(path)


def test_parquet_reads_alike(folder):
    table = pa.table(
        {
            " Path": ["clips\\a.mp4", "b.mp4 ", "", None],
            "LABEL": [" hoch springen", "Küche\u00a0", "", None],
            "start_s": [0.5, float("nan"), None, None],
            "end_s": ["1:15", None, "", None],
            "camera": pa.array([1, None, None, None], pa.int64()),
        }
    )
    pq.write_table(table, folder / "list.parquet")
    first, second = read(folder / "list.parquet")
    assert first == ("clips/a.mp4", 0.5, 75.0, {"label": "hoch springen", "camera": "1"})
    assert second == ("b.mp4", 0.0, None, {"label": "Küche"})
    pq.write_table(table, folder / "list.csv")
    assert read(folder / "list.csv") == [first, second]
    times = pa.table({"path": ["b.mp4"], "start_s": [timedelta(seconds=75.5)]})
    pq.write_table(times, folder / "list.parquet")
    assert read(folder / "list.parquet")[0][1] == 75.5


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            pa.table([["b.mp4"], ["x"], ["y"]], ["path", "label", "Label"]),
            "are both named 'label'; rename one",
        ),
        (pa.table({"file": ["b.mp4"]}), "has no column 'path', only file"),
        (pa.table({"path": ["b.mp4", ""], "label": ["x", "y"]}), "row 2: path is empty"),
    ],
)
def test_a_wrong_parquet_is_refused_alike(folder, table, expected):
    pq.write_table(table, folder / "list.parquet")
    assert expected in refusal(folder / "list.parquet")


def test_text_that_is_named_parquet_says_so(folder):
    path = saved(folder / "list.parquet", ROWS)
    assert "is not Parquet; if it is a table as text, name it .csv" in refusal(path)
