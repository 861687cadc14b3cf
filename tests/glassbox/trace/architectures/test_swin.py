"""Liu et al. 2021, "Swin transformer: hierarchical vision transformer using shifted windows"."""

import torch
from torch import Tensor, nn


def windows(x: Tensor, size: int) -> Tensor:
    """(B, H, W, C) -> (windows, size * size, C)."""
    batch, height, width, channels = x.shape
    x = x.view(batch, height // size, size, width // size, size, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, size * size, channels)


def together(x: Tensor, size: int, height: int, width: int) -> Tensor:
    """The inverse."""
    x = x.view(-1, height // size, width // size, size, size, x.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, x.shape[-1])


class WindowAttention(nn.Module):
    """Section 3.2, eq. 4: attention inside each window, with a learned bias for each relative position."""

    def __init__(self, width: int, size: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.table = nn.Parameter(torch.randn((2 * size - 1) ** 2, heads) * 0.2)
        places = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")).flatten(1)
        apart = places[:, :, None] - places[:, None, :] + size - 1
        self.register_buffer("apart", apart[0] * (2 * size - 1) + apart[1])
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.softmax = nn.Softmax(-1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        count, tokens, width = x.shape
        qkv = self.qkv(x).reshape(count, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        scores = (q * self.scale) @ k.transpose(-2, -1)
        bias = self.table[self.apart.view(-1)].view(tokens, tokens, self.heads)  # type: ignore[operator]
        scores = scores + bias.permute(2, 0, 1).unsqueeze(0)
        if mask is not None:
            scores = scores + mask.unsqueeze(1)
        return self.proj((self.softmax(scores) @ v).transpose(1, 2).reshape(count, tokens, width))


class Block(nn.Module):
    """Section 3.2, eq. 3: windows, or windows shifted by half their size, whose seams the mask hides (figure 4)."""

    def __init__(self, width: int, side: int, size: int, shift: int) -> None:
        super().__init__()
        self.side, self.size, self.shift = side, size, shift
        self.norm1, self.attention = nn.LayerNorm(width), WindowAttention(width, size, 2)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        mask = None
        if shift:
            region = torch.zeros(1, side, side, 1)
            cuts = (slice(0, -size), slice(-size, -shift), slice(-shift, None))
            for number, (rows, columns) in enumerate((a, b) for a in cuts for b in cuts):
                region[:, rows, columns] = number
            parts = windows(region, size).squeeze(-1)
            mask = torch.zeros(len(parts), size * size, size * size)
            mask[parts[:, :, None] != parts[:, None, :]] = float("-inf")
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        if self.shift:
            y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
        y = together(self.attention(windows(y, self.size), self.mask), self.size, self.side, self.side)
        if self.shift:
            y = torch.roll(y, (self.shift, self.shift), (1, 2))
        x = x + y
        return x + self.mlp(self.norm2(x))


class Merging(nn.Module):
    """Section 3.1: the four neighbours beside each other, a norm, a dense layer to twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.reduce = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        near = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        return self.reduce(self.norm(torch.cat(near, -1)))


class Swin(nn.Module):
    """Figure 3 with two stages."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm0 = nn.Conv2d(3, 6, 4, 4), nn.LayerNorm(6)
        self.stage1 = nn.Sequential(Block(6, 8, 4, 0), Block(6, 8, 4, 2))
        self.merging = Merging(6)
        self.stage2 = nn.Sequential(Block(12, 4, 2, 0), Block(12, 4, 2, 1))
        self.norm, self.average, self.head = nn.LayerNorm(12), nn.AdaptiveAvgPool1d(1), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm0(self.patches(x).permute(0, 2, 3, 1))
        x = self.norm(self.stage2(self.merging(self.stage1(x))))
        return self.head(self.average(x.flatten(1, 2).transpose(1, 2)).flatten(1))


def test_swin(follow) -> None:
    follow(Swin(), (3, 32, 32)).check()
