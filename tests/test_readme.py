"""The README says what is: its tables are those of the cards and of the last benchmark, its commands exist."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_tables_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/readme.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_exactly_two_commands_set_it_up() -> None:
    blocks = re.findall(r"```bash\n(.*?)```", README, re.S)
    assert [block.strip() for block in blocks] == [
        "python -m pip install -e . && python app.py",
        'python -m pip install -e ".[test]" && python -m pytest',
    ]


def test_every_link_into_the_repository_leads_somewhere() -> None:
    for text in (README, (ROOT / "docs/adding-a-model.md").read_text("utf-8")):
        for link in re.findall(r"\]\(((?!https?://)[^)#]+)\)", text):
            assert (ROOT / link).exists() or (ROOT / "docs" / link).exists(), link


def test_the_python_of_the_readme_exists() -> None:
    import genrestore

    for name in re.findall(r"`genrestore\.(\w+)\(", README):
        assert callable(getattr(genrestore, name)), name
