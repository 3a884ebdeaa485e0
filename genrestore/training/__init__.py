"""Training, beginning with `loop`: players take turns on a batch, whatever the net is.

    python -m genrestore.training span-x4 --data PICTURES --licence own --out runs/span-x4
    torchrun --nproc-per-node 8 -m genrestore.training span-x4 …

needs torch, numpy, pillow, safetensors and tqdm only, so that a bare checkout trains on a rented machine. `runs` and `judge`
tell of a training to whoever watches, without torch.
"""
