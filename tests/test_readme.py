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
        "python3 -m venv .venv && . .venv/bin/activate && python -m pip install -e . && python app.py",
        'python3 -m venv .venv && . .venv/bin/activate && python -m pip install -e ".[test]" && python -m pytest',
    ]


def test_the_commands_run_in_an_environment_of_their_own(tmp_path: Path) -> None:
    """The Python of Debian and Ubuntu refuses to install anything; .ci/run runs the whole of the second command."""
    for command in re.findall(r"```bash\n(.*?)```", README, re.S):
        made, _, _ = command.partition("python -m pip")
        assert made
        told = 'python -c "import sys; print(sys.prefix)"'
        strict = ["bash", "-euo", "pipefail", "-c", made.replace("venv ", "venv --without-pip ", 1) + told]
        done = subprocess.run(strict, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stdout.strip() == str(tmp_path / ".venv"), done.stderr


def test_what_to_expect_is_said_before_any_table() -> None:
    before = README[: README.index("\n|")]
    for task in ("Repair", "Enlarge", "Generate", "Train"):
        assert f"- **{task}**:" in before


def test_every_link_into_the_repository_leads_somewhere() -> None:
    for text in (README, (ROOT / "docs/adding-a-model.md").read_text("utf-8")):
        for link in re.findall(r"\]\(((?!https?://)[^)#]+)\)", text):
            assert (ROOT / link).exists() or (ROOT / "docs" / link).exists(), link


def test_the_python_of_the_readme_exists() -> None:
    import genrestore

    for name in re.findall(r"`genrestore\.(\w+)\(", README):
        assert callable(getattr(genrestore, name)), name
