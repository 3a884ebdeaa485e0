"""Draw pictures from latent vectors."""

from dataclasses import dataclass

from genrestore.setting import setting
from genrestore.tasks.task import Generation, enter


@dataclass(frozen=True)
class Options:
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
