"""The wheel: with the compiled reader, and built without a C compiler; the installed program runs; so does the image.

Both are built from a copy of the tree, as ``pip wheel .`` builds them; the compiled one by the script that the image of
templates/dataflow is built with.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from bronze.producer import VERSION
from pipeline.sample import SampleOptions, write_sample_lake

ROOT = Path(__file__).resolve().parents[2]
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "data", "build", "*.so", "*.egg-info", "__pycache__", ".*_cache")

pytestmark = pytest.mark.timeout(600)
COMMIT = "c3" * 20


def build(folder: Path, commit: str = "", **environment: str) -> Path:
    """Build the wheel of the project, of a repository whose head is `commit`, if one is given; return it."""
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=_LEFT_OUT)
    if commit:
        (tree / ".git").mkdir()
        (tree / ".git" / "HEAD").write_text(f"{commit}\n")
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--wheel-dir", str(folder)]
    subprocess.run(command, cwd=tree, env=os.environ | environment, check=True, capture_output=True)
    (wheel,) = folder.glob("bronze_copier-*.whl")
    return wheel


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel with the compiled reader."""
    folder = tmp_path_factory.mktemp("compiled")
    shutil.copytree(ROOT, folder / "tree", ignore=_LEFT_OUT)
    script = [folder / "tree" / "templates" / "dataflow" / "build_wheel.sh", folder / "tree", folder, sys.executable]
    subprocess.run(["sh", *script], check=True, capture_output=True)
    (wheel,) = folder.glob("bronze_copier-*.whl")
    return wheel


def copy_lake(wheel: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Install the wheel into a folder and copy a small lake with the installed program."""
    site = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    lake = write_sample_lake(folder / "lake", SampleOptions(ledgers=8, transactions=1))
    config = folder / "config.yaml"
    config.write_text(
        f"era: {{era_id: e1, network: standalone, ledger_start: 2, ledger_end: {lake.last}, partition_size: 4}}\n"
        f"source: {{local_path: {folder}/lake}}\nstorage: {{local_dir: {folder}/out}}\n"
        f"checkpoint: {{dir: {folder}/state}}\n",
        encoding="utf-8",
    )
    environment = os.environ | {"PYTHONPATH": str(site), "BRONZE_READER": ""}
    command = [sys.executable, str(site / "bin" / "bronze-copier"), "--config", str(config)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_wheel_contains_compiled_reader(compiled: Path, tmp_path: Path) -> None:
    wheel = compiled
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.startswith("bronze/xdr/walker.") and name.endswith(".so")]
    assert "bronze/catalog/schema.sql" in names
    assert {name.partition("/")[0] for name in names if not name.startswith("bronze_copier-")} == {
        "bronze",
        "transforms",
        "pipeline",
    }
    ran = copy_lake(wheel, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "2 written, 0 skipped, 0 failed" in ran.stdout
    assert "interpreted" not in ran.stderr


def test_wheel_without_compiler_warns_once(tmp_path: Path) -> None:
    wheel = build(tmp_path, COMMIT, CC="/no/compiler", CXX="/no/compiler")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]
    ran = copy_lake(wheel, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "2 written, 0 skipped, 0 failed" in ran.stdout
    (warning,) = [line for line in ran.stderr.splitlines() if "interpreted" in line]
    assert "WARN" in warning
    assert "60 times as long" in warning
    # The commit is built in: neither the repository nor the variable is there when it runs.
    manifests = [json.loads(path.read_bytes()) for path in tmp_path.rglob("_manifest.json")]
    assert {(one["producer"]["version"], one["producer"]["git_sha"]) for one in manifests} == {(f"v{VERSION}", COMMIT)}
    made_with = manifests[0]["made_with"]
    shown = [f"v{VERSION} ({COMMIT})", f"pyarrow {made_with['pyarrow']}", f"stellar-sdk {made_with['reader_table']}"]
    version = subprocess.run(
        [sys.executable, str(tmp_path / "site" / "bin" / "bronze-copier"), "--version"],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert [one for one in [*shown, f"verification {made_with['verification']}"] if one not in version] == []


def environment_beside(folder: Path) -> Path:
    """A virtual environment that finds the packages of this one, but not the program; its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=120)
    (site,) = folder.glob("lib/python*/site-packages")
    packages = folder / "packages"
    packages.mkdir()
    for path in {Path(str(one.locate_file(""))): None for one in metadata.distributions()}:
        for found in path.iterdir() if path.name == "site-packages" else ():
            if not re.match(r"__editable__|bronze_copier", found.name) and not (packages / found.name).exists():
                (packages / found.name).symlink_to(found)
    (site / "found.pth").write_text(f"{packages}\n")
    return folder / "bin" / "python"


def test_image_steps_install_launcher_and_program(compiled: Path, tmp_path: Path) -> None:
    """What the Dockerfile of templates/dataflow runs, on a bare tree; the packages are there: none is downloaded."""
    image = ROOT / "templates" / "dataflow"
    python = environment_beside(tmp_path / "env")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BRONZE_"))}

    def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
        environment = kept | {"PIP_NO_INDEX": "1"}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    requirements = tmp_path / "requirements.txt"
    shutil.copy(ROOT / "requirements.txt", requirements)
    ran = run("sh", image / "install.sh", compiled.parent, requirements, image / "launch.py", tmp_path, python)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Requirement already satisfied: apache-beam==" in ran.stdout
    launch = tmp_path / "template" / "launch.py"
    ran = run(python, launch, "--lake=/data", "--output=gs://out/x", "--state=gs://out/s", "--project=p")
    assert ran.returncode == 2
    assert "lake is '/data'" in ran.stderr
    assert run(tmp_path / "env" / "bin" / "bronze-copier", "--version").stdout.startswith("bronze-copier v2")
