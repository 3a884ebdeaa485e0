"""How models of the Hub are named: one way to read each, and no way out of the folder."""

import pytest

from genrestore.errors import ModelError
from genrestore.references import Reference, repository_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GOOD = {
    "hf:ann/net": Reference("ann/net"),
    "hf:ann/net@v1.0": Reference("ann/net", "v1.0"),
    f"hf:ann/net@{COMMIT}": Reference("ann/net", COMMIT),
    "hf:ann/net@refs/pr/1": Reference("ann/net", "refs/pr/1"),
    "hf:ann/net@refs/pr/1/faces/model.safetensors": Reference("ann/net", "refs/pr/1", "faces/model.safetensors"),
    "hf:ann/net@trial%2Ftwo": Reference("ann/net", "trial/two"),
    "hf:ann/net@v1/faces/4x.pth": Reference("ann/net", "v1", "faces/4x.pth"),
    "hf:ann/net/faces/model.safetensors": Reference("ann/net", "", "faces/model.safetensors"),
    "hf:a/b_C.d-e": Reference("a/b_C.d-e"),
}
BAD = [
    "", "hf:", "hf:ann", "ann/net", "hf:ann/", "hf:/net", "hf:ann//net", "hf:ann/net@", "hf:ann/net@@x", "hf:ann/net@a@b",
    "hf:../net", "hf:ann/..", "hf:ann/.net", "hf:ann/net.", "hf:ann/a--b", "hf:ann/a..b", "hf:ann/net.git", "hf:ann/né",
    "hf:ann/net@..", "hf:ann/net@../x", "hf:ann/net@a%2F..%2Fb", "hf:ann/net@%2Fetc", "hf:ann/net@a\\b", "hf:ann/net@a b\n",
    "hf:ann/net/../x", "hf:ann/net/a/../../x", "hf:ann/net//x", "hf:ann/net/.x", "hf:ann/net/x~y", "hf:ann/net@v1/C:/x",
    "hf:ann/net@" + "x" * 300, "hf:" + "a" * 100 + "/net", "hf:ann/net@v1/" + "x/" * 200 + "y", "https://hf.co/ann/net",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_a_reference_is_read_and_written(text: str) -> None:
    found = Reference.parse(text)
    assert found == GOOD[text] and str(found) == text
    assert Reference.of_folder(found.folder) == found
    assert "/" not in found.folder and "\\" not in found.folder and not found.folder.startswith(".")


def test_main_is_where_no_revision_is_named() -> None:
    assert Reference.parse("hf:ann/net@main") == Reference.parse("hf:ann/net")
    assert Reference.parse("hf:ann/net@main/model.safetensors") == Reference.parse("hf:ann/net/model.safetensors")


@pytest.mark.parametrize("text", BAD)
def test_what_could_lead_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"write hf:owner/repo") as told:
        Reference.parse(text)
    assert "\n" not in str(told.value) and len(str(told.value)) < 300


@pytest.mark.parametrize(
    "name", ["", "ann", "ann--", "--net", "ann--net@", "ann--net~", "ann--net@..", ".ann--net", "ann--net@main"]
)
def test_a_folder_that_no_pull_made_has_no_reference(name: str) -> None:
    assert Reference.of_folder(name) is None


def test_two_references_share_no_folder() -> None:
    folders = [Reference.parse(text).folder for text in [*GOOD, "hf:ann/net@trial", "hf:ann/net@v1"]]
    assert len(set(folders)) == len(folders)


def test_a_repository_to_write_to_is_no_more_than_that() -> None:
    assert repository_of("ann/net") == repository_of("hf:ann/net") == "ann/net"
    for wrong in ("ann", "ann/net@v1", "hf:ann/net/x.safetensors", "../net"):
        with pytest.raises(ModelError):
            repository_of(wrong)
