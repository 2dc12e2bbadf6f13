import json
from functools import partial

from sora_video.demo import run_demo
from sora_video.downstream.datasets.motions import make_motions


def test_the_demo_leaves_a_report_a_library_and_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("sora_video.demo.make_motions", partial(make_motions, clips_per_class=6))
    out = tmp_path / "demo"
    outcome = run_demo(out, seeds=2, overrides=["optim.epochs=1", "encoder.width=4"])
    for name in ("corpus/labels.csv", "run-0/README.md", "run-1/model.safetensors", "library/manifest.json"):
        assert (out / name).is_file()
    stored = json.loads((out / "metrics.json").read_text())
    assert len(stored["pretrained"]) == len(stored["random"]) == len(outcome.margins()) == 2
    assert outcome.mean_frame < 0.3
    html = (out / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 4
    assert html.count('class="strip query"') == 8
    assert f"{min(outcome.margins()) * 100:.0f} to " in html
