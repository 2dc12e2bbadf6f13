"""The training loop that a user would write today, to be measured beside ours."""

import time
from pathlib import Path

import decord
import numpy as np
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.registry import build_encoder

__all__ = ["peer_clips_per_second"]


class TwoViews(Dataset[tuple[Tensor, Tensor]]):
    """Two random clips of each video, each from a reader of its own, each augmented on its own."""

    def __init__(self, paths: list[Path], config: PretrainConfig) -> None:
        self.paths, self.config = paths, config
        size = config.augment.size
        self.transform = v2.Compose(
            [
                v2.RandomResizedCrop(size, scale=config.augment.crop_area, antialias=True),
                v2.RandomHorizontalFlip(),
                v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
                v2.RandomGrayscale(0.2),
                v2.RandomApply([v2.GaussianBlur(5, (0.1, 1.0))], p=0.5),
                v2.ToDtype(torch.float32, scale=True),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """The views of one video, (3, T, H, W) each."""
        return self.view(self.paths[index]), self.view(self.paths[index])

    def view(self, path: Path) -> Tensor:
        """One random clip, augmented."""
        wanted, size = self.config.slice, self.config.slice.size
        reader = decord.VideoReader(str(path), width=size, height=size, num_threads=1)
        stride = max(1, round(reader.get_avg_fps() / wanted.fps))
        start = np.random.randint(max(1, len(reader) - stride * wanted.frames))
        indices = np.minimum(start + stride * np.arange(wanted.frames), len(reader) - 1)
        clip = torch.from_numpy(reader.get_batch(indices).asnumpy()).permute(0, 3, 1, 2)
        augmented: Tensor = self.transform(clip)
        return augmented.transpose(0, 1)


def peer_clips_per_second(paths: list[Path], config: PretrainConfig, steps: int, workers: int = 2) -> float:
    """Clips a second of SimCLR by lightly's loss and head, in fp32, after a step to warm up."""
    loader = DataLoader(
        TwoViews(paths * 100, config),
        config.optim.batch_size,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
    )
    encoder = build_encoder(config.encoder, 0).to(memory_format=torch.contiguous_format)
    head = SimCLRProjectionHead(encoder.dim, config.loss.projection_hidden, config.loss.projection_dim)
    criterion = NTXentLoss(config.loss.temperature)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=config.optim.lr)
    model, began = nn.Sequential(Features(encoder), head), 0.0
    for step, (first, second) in zip(range(steps + 1), loader, strict=False):
        loss = criterion(model(first), model(second))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step == 0:
            began = time.perf_counter()
    return 2 * config.optim.batch_size * steps / (time.perf_counter() - began)


class Features(nn.Module):
    """An encoder's features alone."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, clips: Tensor) -> Tensor:
        """(N, 3, T, H, W) to (N, D)."""
        features: Tensor = self.encoder(clips).features
        return features
