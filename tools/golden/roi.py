#!/usr/bin/python3
"""Values and gradients of regions of interest by torchvision in float64, recorded as tests/golden/roi.safetensors.

usage: roi.py [--out FILE]

CASE/x are maps, CASE/boxes [R, 4] and CASE/image [R]; of pooling, CASE/place is where the largest stands, INT32_MIN for nowhere.
"""
import math

import torch
import torchvision

import golden
from golden import exact, normal

SEED = 29


def boxes_in(count, high, wide, beyond=0.0):
    """Boxes of any size, with corners up to `beyond` outside."""
    corner = lambda size: -beyond + (size + 2 * beyond) * torch.rand(count, 2, dtype=torch.float64)
    x, y = corner(wide).sort(1)[0], corner(high).sort(1)[0]
    return exact(torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], 1))


def rows_of(boxes, image):
    return torch.cat([image.double()[:, None], boxes], 1)


def align(r, case, x, boxes, image, size, **p):
    r.add(case, {"x": x}, lambda x: torchvision.ops.roi_align(x, rows_of(boxes, image), size, **p))
    r.keep(case, {"boxes": boxes, "image": image.int()})


def pool(r, case, x, boxes, image, size, scale=1.0):
    call = torch.ops.torchvision.roi_pool
    r.add(case, {"x": x}, lambda x: call(x, rows_of(boxes, image), scale, *size)[0])
    place = call(x.detach(), rows_of(boxes, image), scale, *size)[1].int()
    place[place < 0] = -2**31
    r.keep(case, {"boxes": boxes, "image": image.int(), "place": place})


def taps(place, cells):
    """The two cells of a sample along an axis and their weights, as torchvision has them."""
    if place < -1 or place > cells:
        return (0, 0.0), (0, 0.0)
    place = max(place, 0.0)
    low = min(int(place), cells - 1)
    share = 0.0 if low == cells - 1 else place - low
    return (low, 1 - share), (min(low + 1, cells - 1), share)


def largest_bin(plane, low, size, bin, bins, samples):
    """The largest weight * x of a bin's samples, by ONNX's definition, in plain loops."""
    grid = [samples or max(math.ceil(size[a] / bins[a]), 0) for a in (0, 1)]
    at = lambda a, i: low[a] + (bin[a] + (i + 0.5) / grid[a]) * size[a] / bins[a]
    parts = [u * v * plane[i, j] for y in range(grid[0]) for x in range(grid[1])
             for i, u in taps(at(0, y), plane.shape[0]) for j, v in taps(at(1, x), plane.shape[1])]
    return torch.stack(parts).max(0)[0] if parts else plane.new_zeros(())


def largest_of(x, boxes, image, bins, scale, samples, half_pixel):
    def region(box, n):
        x1, y1, x2, y2 = (float(v) * scale - (0.5 if half_pixel else 0) for v in box)
        size = [v if half_pixel else max(v, 1.0) for v in (y2 - y1, x2 - x1)]
        return torch.stack([torch.stack([torch.stack([largest_bin(plane, (y1, x1), size, (i, j), bins, samples)
                                                      for j in range(bins[1])]) for i in range(bins[0])]) for plane in x[n]])
    return torch.stack([region(box, int(n)) for box, n in zip(boxes, image)])


def largest(r, case, x, boxes, image, bins, scale=1.0, samples=0, half_pixel=False):
    r.add(case, {"x": x}, lambda x: largest_of(x, boxes, image, bins, scale, samples, half_pixel))
    r.keep(case, {"boxes": boxes, "image": image.int()})


def record():
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(False)
    r = golden.Recorder()
    image = lambda count, maps: torch.randint(0, maps, (count,))
    align(r, "usual", normal(2, 3, 12, 10), boxes_in(5, 96, 80), image(5, 2), (3, 4), spatial_scale=1 / 8, sampling_ratio=2)
    align(r, "aligned", normal(2, 3, 12, 10), boxes_in(5, 48, 40), image(5, 2), (3, 3), spatial_scale=0.25, sampling_ratio=2,
          aligned=True)
    align(r, "adaptive", normal(1, 2, 17, 13), boxes_in(4, 17, 13), image(4, 1), (2, 3))
    align(r, "adaptive_aligned", normal(3, 1, 11, 19), boxes_in(6, 110, 190), image(6, 3), (7, 7), spatial_scale=0.1, aligned=True)
    align(r, "beyond", normal(2, 2, 6, 7), boxes_in(6, 6, 7, beyond=5), image(6, 2), (3, 2), sampling_ratio=3)
    align(r, "beyond_adaptive", normal(2, 2, 6, 7), boxes_in(6, 6, 7, beyond=5), image(6, 2), (2, 2), aligned=True)
    small = torch.tensor([[3.25, 2.5, 3.5, 2.75], [4, 4, 4, 4], [5, 3, 4.5, 2], [0, 0, 0.5, 9]], dtype=torch.float64)
    align(r, "small", normal(1, 2, 9, 9), small, image(4, 1), (2, 2))
    align(r, "small_aligned", normal(1, 2, 9, 9), small, image(4, 1), (2, 2), aligned=True)
    align(r, "turned", normal(1, 2, 9, 9), small, image(4, 1), (2, 3), sampling_ratio=2, aligned=True)
    align(r, "corners", normal(1, 1, 4, 5), torch.tensor([[-0.5, -0.75, 4.75, 3.875], [2.5, 1.5, 8, 6]], dtype=torch.float64),
          image(2, 1), (5, 5), sampling_ratio=1)
    pool(r, "pool", normal(2, 3, 12, 10), boxes_in(5, 96, 80), image(5, 2), (3, 4), 1 / 8)
    pool(r, "pool_beyond", normal(2, 2, 6, 7), boxes_in(6, 6, 7, beyond=5), image(6, 2), (2, 4))
    pool(r, "pool_small", normal(1, 2, 9, 9), small, image(4, 1), (2, 4))
    pool(r, "pool_ties", torch.randint(0, 3, (1, 2, 7, 6)).double(), boxes_in(3, 7, 6), image(3, 1), (2, 2))
    largest(r, "largest", normal(2, 2, 12, 10), boxes_in(4, 48, 40), image(4, 2), (3, 4), scale=0.25, samples=2)
    largest(r, "largest_adaptive", normal(2, 2, 9, 11), boxes_in(4, 9, 11, beyond=3), image(4, 2), (2, 3), half_pixel=True)
    return r.tensors, r.metadata


if __name__ == "__main__":
    golden.main(record, "roi.safetensors", __doc__)
