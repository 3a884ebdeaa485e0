"""DCGAN on 32×32 pictures as tutorials train it: fp32, NCHW, a DataLoader with two workers that decode files.

    python benchmarks/textbook.py FOLDER STEPS     # FOLDER holds folders of pictures; prints pictures a second

The plain thing that `benchmarks/speed.py train` compares with. Same net, batch, optimiser and loss as `dcgan-cifar10`.
"""

import statistics
import sys
import time

import torch
import torchvision
from torch import Tensor, nn
from torchvision import transforms

BATCH = 128
SKIPPED = 3  # first steps, which start the workers


def nets() -> tuple[nn.Module, nn.Module]:
    """Generator and critic of Radford et al. 2016 at 32×32."""
    generator = nn.Sequential(
        nn.ConvTranspose2d(100, 256, 4, 1, 0, bias=False), nn.BatchNorm2d(256), nn.ReLU(True),
        nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(True),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(True),
        nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    critic = nn.Sequential(
        nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True),
        nn.Conv2d(64, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.LeakyReLU(0.2, True),
        nn.Conv2d(128, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256), nn.LeakyReLU(0.2, True),
        nn.Conv2d(256, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0),
    )  # fmt: skip
    return generator, critic


def main() -> None:
    folder, steps = sys.argv[1], int(sys.argv[2])
    look = transforms.Compose(
        [
            transforms.Resize(32),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    pictures = torchvision.datasets.ImageFolder(folder, transform=look)
    loader = torch.utils.data.DataLoader(pictures, BATCH, shuffle=True, num_workers=2, drop_last=True)
    generator, critic = nets()
    judge = nn.BCELoss()
    of_critic = torch.optim.Adam(critic.parameters(), lr=2e-4, betas=(0.5, 0.999))
    of_generator = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    real, fake = torch.ones(BATCH), torch.zeros(BATCH)
    times: list[float] = []
    before = time.perf_counter()
    image: Tensor
    for image, _ in loader:
        critic.zero_grad()
        judge(critic(image), real).backward()
        drawn = generator(torch.randn(BATCH, 100, 1, 1))
        judge(critic(drawn.detach()), fake).backward()
        of_critic.step()
        generator.zero_grad()
        loss = judge(critic(drawn), real)
        loss.backward()
        of_generator.step()
        loss.item()
        times.append(time.perf_counter() - before)
        before = time.perf_counter()
        if len(times) == steps + SKIPPED:
            break
    print(BATCH / statistics.median(times[SKIPPED:]))


if __name__ == "__main__":
    main()
