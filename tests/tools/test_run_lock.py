"""What the image is made from suffices: no module of ours leans on a package that only developers install."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from bootstrap import find_uv  # noqa: E402

IMPORT_ALL = """
import importlib, pkgutil
count = 0
for name in ("channels", "daemon", "migrations", "rules"):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        if not module.name.endswith(("__main__", "migrations.env")):
            importlib.import_module(module.name)
            count += 1
print(count)
"""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_module_is_imported_with_the_packages_of_the_image(tmp_path):
    uv = find_uv(sys.executable)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)
    subprocess.run(
        [uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", ROOT / "requirements-run.lock"],
        check=True,
    )
    done = subprocess.run([python, "-c", IMPORT_ALL], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
