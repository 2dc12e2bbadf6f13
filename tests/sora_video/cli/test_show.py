import pytest

from sora_video.cli.main import main
from sora_video.cli.show import print_table


def test_a_table_keeps_absent_cells_empty_and_brackets_literal(capsys):
    print_table([{"name": "[red]", "value": 0.5}, {"name": "none"}], title="Title")
    shown = capsys.readouterr().out
    assert "[red]" in shown
    assert "0.500" in shown
    assert "Title" in shown


def test_names_in_tables_and_errors_leave_the_terminal_as_it_is(tmp_path, capsys, monkeypatch):
    print_table([{"video": "\x1b[2Ja\n.mp4", "\x1bkey": 1}], title="of \x07b")
    shown = capsys.readouterr().out
    assert all(name in shown for name in (r"\x1b[2Ja\n.mp4", r"\x1bkey", r"\x07b"))
    assert "\x1b" not in shown
    monkeypatch.setattr("sys.argv", ["sora", "index", "info", str(tmp_path / "\x1b[2J")])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert r"\x1b[2J: no library there" in said
    assert "\x1b" not in said
