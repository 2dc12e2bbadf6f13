"""The page in a real browser: jobs as they go on."""

import pytest

from tests.browser import WIDTHS


@pytest.fixture(scope="module")
def running(folder, serve, films):
    with serve(folder, videos=films) as one:
        yield one


def test_videos_are_added_and_jobs_are_listed(visit, http):
    shown = visit("view=jobs", "dark")
    shown.said("There was no job yet")
    shown.page.fill("#folder", "yard")
    shown.page.keyboard.press("Enter")
    shown.said("Adding videos: done.")
    (job,) = http.get("/api/v1/jobs").json()["jobs"]
    assert job["wanted"]["folder"] == "yard"
    item = shown.page.inner_text(f"#job-{job['id']}")
    assert all(f"{name} {count}" in item for name, count in job["result"].items() if isinstance(count, int))
    shown.page.fill("#folder", "nowhere")
    shown.page.click("#add")
    assert "holds no such video" in shown.said("failed")
    assert shown.page.locator(".jobs li").count() == 2
    for width in WIDTHS:
        assert shown.faults(width) == []
    shown.open("view=jobs")  # the key Tab begins at the top
    shown.said("2 jobs")
    assert shown.unreached() == []
    assert "failed" in shown.page.inner_text(".jobs li >> nth=0")
