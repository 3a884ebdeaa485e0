"""Training, beginning with `loop`: players take turns on a batch, whatever the net is.

    python -m genrestore.train span-x4 --data PICTURES --licence own --out runs/span-x4
    torchrun --nproc-per-node 8 -m genrestore.train span-x4 …

needs torch, numpy, pillow, safetensors and tqdm only, so that a bare checkout trains on a rented machine.
"""

from genrestore.train.command import diagnosis, rehearsal, run, use_threads
from genrestore.train.loop import train

__all__ = ["diagnosis", "rehearsal", "run", "train", "use_threads"]
