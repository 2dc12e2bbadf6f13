import pytest

from sora_video.cli.show import clock, print_table


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00.0"), (59.96, "1:00.0"), (61.25, "1:01.2"), (3600, "60:00.0")]
)
def test_times_are_read_at_a_glance(seconds, text):
    assert clock(seconds) == text


def test_a_table_keeps_absent_cells_empty_and_brackets_literal(capsys):
    print_table([{"name": "[red]", "value": 0.5}, {"name": "none"}], title="Title")
    shown = capsys.readouterr().out
    assert "[red]" in shown
    assert "0.500" in shown
    assert "Title" in shown
