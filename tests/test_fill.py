"""Filling by example: what is copied, from where, and what must never be."""

import math
import threading

import pytest
import torch
from torch import Tensor

from genrestore.errors import Cancelled, MaskError
from genrestore.fill import exemplar, labels, lines, offsets
from genrestore.fill.blend import blended
from genrestore.fill.exemplar import Settings, fill
from genrestore.fill.labels import Labels
from genrestore.fill.polish import polished
from genrestore.fill.pyramid import Level, grown, pyramid
from genrestore.nets import layers

pytestmark = pytest.mark.usefixtures("one_thread")  # as the program fills; see `runtime.one_core`


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def tiled(side: int = 72, tile: int = 24) -> Tensor:
    """A picture that repeats itself every `tile` pixels."""
    return noise(tile, tile).repeat(1, side // tile, side // tile)


def square(side: int = 72, at: int = 24, size: int = 20) -> Tensor:
    hole = torch.zeros(side, side, dtype=torch.bool)
    hole[at : at + size, at : at + size] = True
    return hole


def filled(image: Tensor, hole: Tensor, **settings: object) -> Tensor:
    return fill(image, hole, settings=Settings(**settings)).of(image * ~hole)  # pyright: ignore[reportArgumentType]


def test_what_repeats_is_continued_exactly() -> None:
    image, hole = tiled(), square()
    assert (filled(image, hole) - image).abs().max() < 1e-3
    assert fill(image, hole).energy < 1e-6


def test_a_hole_of_several_levels_is_continued_too() -> None:
    image, hole = tiled(240), square(240, 70, 100)
    assert len(pyramid(Level(image, ~hole, ~hole))) > 1
    assert (filled(image, hole) - image).abs().mean() < 0.02


def test_a_mirrored_half_is_found_where_mirrors_are_allowed() -> None:
    half = noise(80, 40)
    image, hole = torch.cat([half, half.flip(2)], 2), square(80, 10, 16)
    assert (filled(image, hole, turns=2) - image).abs().max() < 1e-3
    assert (filled(image, hole, turns=1) - image).abs().max() > 0.3


@pytest.mark.parametrize("turn", range(8))
def test_every_turn_is_found_in_a_turned_half(turn: int) -> None:
    """The right half shows the left one, moved as `offsets.TURNS` says: source = A·pixel + b."""
    left = noise(48, 48, 1)
    y, x = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    a = offsets.TURNS[turn]
    sy, sx = a[0, 0] * y + a[0, 1] * x, a[1, 0] * y + a[1, 1] * x
    image = torch.cat([left[:, sy % 48, sx % 48], noise(48, 4, 2), left], 2)
    hole = torch.zeros(48, 100, dtype=torch.bool)
    hole[18:29, 18:29] = True
    assert (filled(image, hole, turns=8) - image).abs().max() < 1e-3


@pytest.mark.parametrize("turn", range(8))
def test_labels_of_the_next_level_move_alike(turn: int) -> None:
    """Taken to twice the size, a move stays a move: neighbours in the picture come from neighbours."""
    coarse, fine = (Level(noise(n, n), ~h, ~h) for n, h in ((40, square(40, 12, 10)), (80, square(80, 24, 20))))
    y, x = coarse.yx(coarse.hole)
    sy, sx = labels._moved(y - 17, x - 17, torch.tensor([turn, 17, 17]))
    source, turns = torch.arange(1600), torch.zeros(1600, dtype=torch.long)
    source[coarse.hole], turns[coarse.hole] = sy * 40 + sx, turn
    level = Level(fine.image, fine.known, torch.ones_like(fine.known))  # anything may be copied here
    found = labels.doubled(coarse, Labels(source, turns), level)
    stride = labels.steps(80)[turn]
    inner = square(80, 25, 18).flatten().nonzero()[:, 0]
    for dy, dx in labels.ASIDE:
        assert (found.source[inner + dy * 80 + dx] == found.source[inner] + stride[dy + 4, dx + 4]).all()


def test_the_hole_is_never_read_and_the_rest_never_changed() -> None:
    image, hole = noise(60, 70), torch.zeros(60, 70, dtype=torch.bool)
    hole[15:33, 20:44] = True
    strange = torch.where(hole, torch.nan, image)
    first, second = fill(image, hole), fill(torch.where(hole, 7.0, image), hole)
    assert (first.labels.source == second.labels.source).all()
    assert ((first.of(image * ~hole) == image) | hole).all()
    assert torch.isfinite(fill(torch.nan_to_num(strange), hole).of(image * ~hole)).all()
    assert (~hole.flatten())[first.labels.source].all()


def test_what_is_forbidden_is_not_copied() -> None:
    image, hole = tiled(), square()
    forbidden = torch.zeros_like(hole)
    forbidden[:, :20] = True
    found = fill(image, hole, forbidden=forbidden)
    assert not forbidden.flatten()[found.labels.source[hole.flatten()]].any()
    assert forbidden.flatten()[fill(image, hole).labels.source[hole.flatten()]].any()
    assert (found.of(image * ~hole) - image).abs().max() < 1e-3


def test_nothing_to_copy_from_is_said() -> None:
    hole = torch.ones(40, 40, dtype=torch.bool)
    hole[:3] = False
    with pytest.raises(MaskError, match="mark less"):
        fill(noise(40, 40), hole)


def test_equal_seeds_give_equal_pixels_and_others_do_not() -> None:
    image, hole = noise(60, 60), square(60, 20, 16)
    first = filled(image, hole, seed=3)
    assert torch.equal(first, filled(image, hole, seed=3))
    assert ((first != filled(image, hole, seed=4)).any(0) & hole).sum() > 0.5 * hole.sum()


def test_another_seed_gives_another_fill_where_the_best_pieces_are_plain() -> None:
    y, x = torch.meshgrid(torch.arange(90.0), torch.arange(90.0), indexing="ij")
    image = torch.stack([0.5 + 0.4 * torch.sin(x / (7 + k)) * torch.cos(y / (9 + k)) for k in range(3)])
    hole = square(90, 30, 24)
    first, other = filled(image, hole, seed=0), filled(image, hole, seed=1)
    assert ((first != other).any(0) & hole).sum() > 0.2 * hole.sum()


def test_refining_lowers_the_energy() -> None:
    image, hole = noise(60, 60), square(60, 20, 20)
    level = Level(image * ~hole, ~hole, ~hole)
    moves = offsets.moves(level, 1, torch.Generator().manual_seed(0))
    rough = labels.repaired(level, labels.propagate(labels.Messages(level, moves[:4]), None, 0.0))
    assert labels.energy(level, labels.refine(level, rough, 8)) <= labels.energy(level, rough)


def test_the_rim_of_a_brighter_piece_is_not_seen() -> None:
    """Copied from a brighter part, the fill is darkened to fit; what is fine in it stays."""
    fine = noise(80, 160) * 0.1
    image = fine + torch.linspace(0.2, 0.7, 160)
    hole = torch.zeros(80, 160, dtype=torch.bool)
    hole[30:50, 20:40] = True
    level = Level(image * ~hole, ~hole, ~hole)
    source = torch.arange(80 * 160)
    source[level.hole] += 100  # 0.3 brighter
    result = blended(level, Labels(source, torch.zeros_like(source)), level.image)
    inside = result[:, hole]
    assert (inside.mean() - image[:, hole].mean()).abs() < 0.1
    assert inside.std() > 0.8 * image[:, hole].std()


def test_a_brighter_piece_fits_in_the_middle_of_a_hole_too() -> None:
    image = noise(140, 300) * 0.1 + torch.linspace(0.2, 0.7, 300)
    hole = torch.zeros(140, 300, dtype=torch.bool)
    hole[30:110, 30:110] = True
    level = Level(image * ~hole, ~hole, ~hole)
    source = torch.arange(140 * 300)
    source[level.hole] += 160  # 0.27 brighter
    result = blended(level, Labels(source, torch.zeros_like(source)), level.image)
    assert (result - image)[:, 65:75, 65:75].mean() < 0.13


def test_a_piece_fits_what_lies_round_the_hole_and_not_only_its_edge() -> None:
    """Two moves: one to a place of which only the pixels that touch the hole agree, and one to where all does."""
    image = noise(160, 60).repeat(1, 1, 2)
    hole, edge = torch.zeros(160, 120, dtype=torch.bool), torch.zeros(160, 120, dtype=torch.bool)
    hole[40:60, 20:40] = edge[39:61, 19:41] = True
    edge &= ~hole
    image[:, edge.roll(60, 0)] = image[:, edge]
    level = Level(image * ~hole, ~hole, ~hole)
    moves = torch.tensor([[0, 60, 0], [0, 0, 60]])
    found = labels.propagate(labels.Messages(level, moves), None, 0.0)
    assert (found.source[level.hole] == level.hole + 60).all()


def test_a_fill_can_be_cancelled() -> None:
    image, hole = tiled(240), square(240, 70, 100)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        fill(image, hole, cancel=cancel)


def test_a_guide_keeps_what_it_does_not_look_like_out() -> None:
    """Half of the picture is dark, half light, the hole in the light half: without a hint, dark pieces would be allowed."""
    image = torch.cat([noise(100, 50) * 0.3, 0.7 + noise(100, 50) * 0.3], 2)
    hole = square(100, 60, 30)
    found = fill(image, hole, settings=Settings(guide=exemplar.Settings().guide))
    assert ((found.labels.source[hole.flatten()] % 100) >= 50).all()


def pole(slope: float, side: int = 120, ends: int = 0) -> tuple[Tensor, Tensor]:
    """A dark pole before a grainy wall through the middle, and (H, W) how much of each pixel it covers.

    Args:
        slope: pixels to the right that it makes on one down.
        ends: rows above which it is; 0 for all.
    """
    y, x = torch.meshgrid(torch.arange(float(side)), torch.arange(float(side)), indexing="ij")
    away = (x - side / 2 - slope * (y - side / 2)).abs() / math.hypot(1, slope)
    covers = (side / 30 + 0.5 - away).clamp(0, 1) * ((y < ends) | (ends == 0))
    return 0.55 + 0.15 * noise(side, side, 1) - 0.35 * covers, covers


@pytest.mark.parametrize("slope", [0.0, 0.5, -0.6, 1.4])
def test_a_pole_goes_on_behind_the_hole(slope: float) -> None:
    """Whichever way it leans; a smooth guide fades it, which makes an error of 0.05 to 0.08."""
    image, _ = pole(slope, 96)
    hole = square(96, 32, 32)
    apart = torch.nn.functional.avg_pool2d(filled(image, hole) - image, 5, 1, 2)[:, hole]  # grain need not agree
    assert apart.abs().mean() < 0.02


@pytest.mark.parametrize("slope", [0.0, 0.5, -0.6, 1.4])
def test_the_direction_of_an_edge_is_found(slope: float) -> None:
    image, _ = pole(slope)
    hole = square(120, 40, 40)
    first, *_ = lines.directions(Level(image * ~hole, ~hole, ~hole))
    assert abs(math.degrees(math.atan(first.x / first.y) - math.atan(slope))) < 2
    assert first.share > 0.2


def drawn_and_smooth(image: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
    """(C, N) of the hole's pixels: with lines, and without."""
    level = Level(image * ~hole, ~hole, ~hole)
    smooth = layers.biharmonic(level.image[None], hole[None, None].float())[0]
    result = lines.drawn(level, smooth)
    assert torch.equal(result[:, ~hole], smooth[:, ~hole])
    return result[:, hole], smooth[:, hole]


def test_lines_are_drawn_where_both_ends_are_there() -> None:
    hole = square(120, 40, 40)
    for ends, whole in ((0, True), (60, False)):
        image, covers = pole(0.3, ends=ends)
        dark = pole(0.3)[1][hole] == 1
        drawn, _ = drawn_and_smooth(image, hole)
        contrast = float(drawn[:, ~dark & (covers[hole] == 0)].mean() - drawn[:, dark].mean())
        assert (contrast > 0.2) == whole


def test_no_lines_are_drawn_in_a_sky_or_in_a_stroke() -> None:
    y, x = torch.meshgrid(torch.arange(120.0), torch.arange(120.0), indexing="ij")
    sky = torch.stack([0.4 + 0.002 * y, 0.5 + 0.001 * y + 0.0005 * x, 0.8 - 0.001 * y])
    drawn, smooth = drawn_and_smooth(sky, square(120, 40, 40))
    assert (drawn - smooth).abs().mean() < 0.004
    stroke = torch.zeros(120, 120, dtype=torch.bool)
    stroke[15:105, 50:70] = True
    drawn, smooth = drawn_and_smooth(pole(0.5)[0], stroke)
    assert torch.equal(drawn, smooth)


@pytest.mark.parametrize("radius", [1, 2, 3, 6, 16])
def test_a_mask_grows_by_squares(radius: int) -> None:
    mask = torch.rand(40, 50, generator=torch.Generator().manual_seed(radius)) > 0.99
    wanted = torch.nn.functional.max_pool2d(mask[None, None].float(), 2 * radius + 1, 1, radius)[0, 0] > 0
    assert torch.equal(grown(mask, radius), wanted)


def test_other_holes_are_not_read_and_not_filled() -> None:
    image, hole, other = tiled(), square(), square(72, 4, 12)
    first = fill(image, hole, other=other)
    second = fill(torch.where(other, 9.0, image), hole, other=other)
    assert torch.equal(first.labels.source, second.labels.source) and first.energy == second.energy
    assert not other.flatten()[first.labels.source[hole.flatten()]].any()
    result = first.of(image)
    assert (result - image).abs().max() < 1e-3 and torch.equal(result[:, other], image[:, other])


def test_polishing_lets_what_fits_be_and_mends_what_does_not() -> None:
    """From labels that are wrong everywhere, it finds back to the pattern."""
    image, hole = tiled(), square(72, 28, 14)
    level = Level(image * ~hole, ~hole, ~hole)
    generator = torch.Generator().manual_seed(0)
    wrong = torch.arange(72 * 72)
    wrong[level.hole] = level.sources[torch.randint(len(level.sources), (len(level.hole),), generator=generator)]
    found = polished(level, Labels(wrong, torch.zeros_like(wrong)), 8, generator)
    assert level.source[found.source[level.hole]].all()
    apart = (level.rows[found.source] - image.flatten(1).T)[level.hole].abs().mean()
    assert apart < 0.5 * (level.rows[wrong] - image.flatten(1).T)[level.hole].abs().mean()
    assert (filled(image, hole, polish=3) - image).abs().max() < 1e-3


def test_only_a_compact_fill_whose_pieces_meet_badly_is_polished(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def polish(level: Level, found: Labels, rounds: int, generator: torch.Generator) -> Labels:
        asked.append(len(level.hole))
        return found

    monkeypatch.setattr(exemplar, "polished", polish)
    line = torch.zeros(72, 72, dtype=torch.bool)
    line[34:38, 6:66] = True
    quiet = Settings(polish=3, quiet=100)
    for image, hole in ((tiled(), square()), (noise(72, 72), line)):
        fill(image, hole, settings=quiet)
    assert not asked, "what fits, and what lies between two rims"
    assert fill(noise(72, 72), line).energy > 0.4 * fill(noise(72, 72), square()).energy
    fill(noise(72, 72), square(), settings=quiet)
    assert asked == [400]
    fill(noise(72, 72), line, settings=Settings(polish=3))
    assert len(asked) == 2, "where it is asked for, in any case"


def test_a_fill_tells_how_far_it_is() -> None:
    """In steps that only rise, the blend included."""
    told: list[float] = []
    found = fill(noise(240, 240), square(240, 70, 100), report=told.append)
    halfway = len(told)
    found.of(noise(240, 240), told.append)
    steps = [after - before for before, after in zip(told, [*told[1:], 1.0], strict=True)]
    assert told[0] == 0 and min(steps) >= 0 and max(steps) < 0.6 and halfway < len(told)
