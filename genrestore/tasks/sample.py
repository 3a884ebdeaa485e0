"""Draw pictures from latent vectors."""

from dataclasses import dataclass

from genrestore.setting import setting
from genrestore.tasks.task import LARGEST_SEED, Generation, enter

MOST = 256  # pictures a call


@dataclass(frozen=True)
class Options:
    n: int = setting(1, "How many pictures; the next ones take the next seeds.", "Pictures", within=f"[1, {MOST}]")
    seed: int = setting(
        0, "Where the randomness starts; the same seed gives the same picture.", "Seed", within=f"[0, {LARGEST_SEED}]"
    )
    truncation: float = setting(
        1.0, "Below 1: more typical, above 1: more varied.", "Truncation", "main", within="[0, 2]"
    )


@enter
class Sample(Generation):
    name = "sample"
    title = "Sample"
    wish = "To generate pictures like these"
    help = "Make pictures from nothing but a seed."
    done = "sample"
    place = 40
    options = Options
    source = "trainedAlgorithmicMedia"
    use = 'genrestore.sample("{}", n=1)[0].save("sample.png")'
