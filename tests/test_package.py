import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import sora_video

ROOT = Path(__file__).parents[1]
ROOMS = ("base", "configs", "pretrain", "index", "downstream", "serve")


def test_all_is_exact():
    assert sora_video.__all__ == sorted(sora_video.__all__)
    for name in sora_video.__all__:
        assert getattr(sora_video, name).__module__.startswith("sora_video.")
    assert set(sora_video.HOME) == set(sora_video.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sora_video.nothing


def python(code, executable=sys.executable, **options):
    """What a fresh interpreter prints."""
    done = subprocess.run([executable, "-c", code], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_face_is_quick_to_import():
    heavy = ("torch", "faiss", "decord")
    code = f"import sora_video.cli.main, sys; print([name for name in {heavy} if name in sys.modules])"
    assert python(code) == "[]"


def test_parts_import_no_more_than_they_need_and_no_room_by_its_bare_name():
    code = (
        "import sys, sora_video.pretrain.encoders.frozen\n"
        "assert 'torch._dynamo' not in sys.modules\n"
        "import sora_video.pretrain.training.loop\n"
        "assert not {'sklearn', 'matplotlib'} & sys.modules.keys()\n"
        "import sora_video.cli.main, sora_video.demo\n"
        "for name in sora_video.__all__: getattr(sora_video, name)\n"
        f"print([name for name in {ROOMS} if name in sys.modules])"
    )
    assert python(code, cwd=ROOT) == "[]"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the sdist as an installer would."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return next(out.glob("*.whl"))


def test_the_wheel_holds_real_files(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        links = [
            info.filename for info in archive.infolist() if (info.external_attr >> 16) & 0o170000 == 0o120000
        ]
    assert not links
    wanted = {
        f"sora_video/{path.relative_to(ROOT).as_posix()}"
        for room in ROOMS
        for pattern in ("*.py", "*.yaml", "*.html", "*.css", "*.js")
        for path in (ROOT / room).rglob(pattern)
    }
    assert wanted <= names
    assert "sora_video/py.typed" in names
    assert not {name.split("/")[0] for name in names} & {*ROOMS, "tests", "benchmarks"}


def test_the_wheel_works_where_it_is_installed(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=False)
    executable = tmp_path / "env/bin/python"
    site = Path(python("import sysconfig; print(sysconfig.get_path('purelib'))", executable))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--target",
            site,
            wheel,
        ],
        check=True,
        timeout=300,
    )
    # the dependencies that are installed already serve again, without the editable project beside them
    installed = Path(pytest.__file__).parents[1]
    shared = tmp_path / "shared"
    shared.mkdir()
    for path in installed.iterdir():
        if "sora_video" not in path.name:
            (shared / path.name).symlink_to(path)
    (site / "dependencies.pth").write_text(f"{shared}\n")
    code = (
        "import sora_video\n"
        "from importlib.util import find_spec\n"
        "assert all(find_spec(f'sora_video.{home}') for home in sora_video.HOME.values())\n"
        "from sora_video.configs.loader import recipe_names; assert 'tiny-cpu' in recipe_names()\n"
        "print(sora_video.__file__)"
    )
    assert python(code, executable, cwd=tmp_path).startswith(str(site))
    helped = subprocess.run(
        [executable, "-c", "from sora_video.cli.main import main; main()", "--help"],
        capture_output=True,
        text=True,
    )
    assert helped.returncode == 0
    assert "pretrain" in helped.stdout
