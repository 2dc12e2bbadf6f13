"""The API as its schema describes it, tried by schemathesis: nothing that is sent makes a fault."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("schemathesis", reason="schemathesis is absent")
COMMAND = Path(sys.executable).with_name("schemathesis")
ENDLESS = "/api/v1/events"
PROMISED = "not_a_server_error,content_type_conformance,response_schema_conformance"
"""What is checked of each answer."""
LEAST = 40
"""Requests that are made at least."""


@pytest.fixture
def tried(folder, serve, http, tmp_path):
    """A function that has requests made of the schema, and says what schemathesis says."""

    def run(*words):
        (video, *_) = http.get("/api/v1/videos", params={"limit": 1}).json()["videos"]
        config = tmp_path / "schemathesis.toml"
        config.write_text(f'[parameters]\n"path.media_id" = "{video["media_id"]}"\n')
        with serve(folder, state=tmp_path / "state") as running:
            running.service.runner.stop()  # jobs wait: what they do is tested elsewhere
            address = f"{running.address}/api/v1/openapi.json"
            command = [COMMAND, "--no-color", "--config-file", config, "run", address, "--seed", "1"]
            checks = [
                "--checks",
                PROMISED,
                "--exclude-path",
                ENDLESS,
                "--suppress-health-check",
                "all",
                "--warnings",
                "off",
            ]
            done = subprocess.run([*command, *checks, *words], cwd=tmp_path, capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.mark.parametrize(
    "words",
    [
        ("--phases", "examples,fuzzing", "--max-examples", "2", "--no-shrink"),
        pytest.param(
            ("--phases", "examples,coverage,fuzzing", "--max-examples", "40", "--continue-on-failure"),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["short", "long"],
)
def test_no_request_makes_a_fault(tried, words):
    done = tried(*words)
    assert done.returncode == 0, done.stdout[-6000:]
    made, good = map(int, re.search(r"(\d+) generated, (\d+) passed", done.stdout).groups())
    assert made == good >= LEAST
