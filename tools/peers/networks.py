"""The networks that kiln is timed on, in PyTorch: each a function or class that builds one with random weights."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def conv(i, o, size, stride=1, groups=1, active=True):
    """Convolution that keeps the picture's size (over the stride), batch norm and, if active, relu."""
    parts = [nn.Conv2d(i, o, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*parts, nn.ReLU()) if active else nn.Sequential(*parts)


def scores(width, classes):
    """Mean over the picture, then a linear layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


class Residual(nn.Module):
    """end(body(x) + skip(x))"""

    def __init__(self, body, skip=None, end=None):
        super().__init__()
        self.body, self.skip, self.end = body, skip or nn.Identity(), end or nn.Identity()

    def forward(self, x):
        return self.end(self.body(x) + self.skip(x))


def residual(body, i, o, stride):
    """ResNet's: projected by a 1x1 convolution where the shape changes, relu at the end."""
    skip = conv(i, o, 1, stride, active=False) if stride != 1 or i != o else None
    return Residual(nn.Sequential(*body), skip, nn.ReLU())


def basic(i, o, stride):
    return residual([conv(i, o, 3, stride), conv(o, o, 3, active=False)], i, o, stride)


def bottleneck(i, o, stride):
    w = o // 4
    return residual([conv(i, w, 1), conv(w, w, 3, stride), conv(w, o, 1, active=False)], i, o, stride)


def stages(block, i, plan):
    """plan: (width, blocks, stride) a stage; the first block of a stage takes the stride."""
    layers = []
    for o, count, stride in plan:
        for k in range(count):
            layers.append(block(i, o, stride if k == 0 else 1))
            i = o
    return nn.Sequential(*layers)


def resnet18():
    return nn.Sequential(conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1),
                         stages(basic, 64, [(64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2)]), scores(512, 1000))


def resnet50():
    return nn.Sequential(conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1),
                         stages(bottleneck, 64, [(256, 3, 1), (512, 4, 2), (1024, 6, 2), (2048, 3, 2)]),
                         scores(2048, 1000))


def resnet20():
    """The small one for 32x32 pictures, 10 classes."""
    return nn.Sequential(conv(3, 16, 3), stages(basic, 16, [(16, 3, 1), (32, 3, 2), (64, 3, 2)]), scores(64, 10))


def vgg16():
    layers, i = [], 3
    for o, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.ReLU()]
            i = o
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Linear(4096, 4096),
                         nn.ReLU(), nn.Linear(4096, 1000))


def separable(i, o, stride):
    """MobileNet's block: depthwise 3x3, pointwise 1x1."""
    return nn.Sequential(conv(i, i, 3, stride, groups=i), conv(i, o, 1))


def mobilenet_v1():
    plan = [(64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2)]
    return nn.Sequential(conv(3, 32, 3, 2), stages(separable, 32, plan), scores(1024, 1000))


def inverted(i, o, stride, factor=6):
    """MobileNetV2's block: 1x1 up, depthwise 3x3, 1x1 down; added to its input where the shapes agree."""
    w = factor * i
    up = [conv(i, w, 1)] if factor > 1 else []
    body = nn.Sequential(*up, conv(w, w, 3, stride, groups=w), conv(w, o, 1, active=False))
    return Residual(body) if stride == 1 and i == o else body


def mobilenet_v2():
    plan = [(24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)]
    return nn.Sequential(conv(3, 32, 3, 2), inverted(32, 16, 1, factor=1), stages(inverted, 16, plan),
                         conv(320, 1280, 1), scores(1280, 1000))


class Fire(nn.Module):
    """SqueezeNet's block: 1x1 down to `narrow`, then 1x1 and 3x3 of `wide` side by side."""

    def __init__(self, i, narrow, wide):
        super().__init__()
        self.down = nn.Conv2d(i, narrow, 1)
        self.sides = nn.ModuleList([nn.Conv2d(narrow, wide, 1), nn.Conv2d(narrow, wide, 3, padding=1)])

    def forward(self, x):
        x = F.relu(self.down(x))
        return torch.cat([F.relu(side(x)) for side in self.sides], 1)


def squeezenet():
    """Version 1.1; its windows at the edge may hang over."""
    pool = lambda: nn.MaxPool2d(3, 2, ceil_mode=True)
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(), Fire(64, 16, 64), Fire(128, 16, 64),
        pool(), Fire(128, 32, 128), Fire(256, 32, 128),
        pool(), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
        nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class VisionTransformer(nn.Module):
    """ViT-Tiny: 16x16 patches of a 224x224 picture and one token that is read out; 12 layers, width 192, 3 heads."""

    def __init__(self, width=192, layers=12, heads=3, tokens=14 * 14 + 1):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(1, tokens, width))
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, activation="gelu",
                                           batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers)
        self.scores = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1000))

    def forward(self, x):
        patches = self.patches(x).flatten(2).transpose(1, 2)            # [N, 196, width]
        tokens = torch.cat([self.token.expand(len(x), -1, -1), patches], 1)
        return self.scores(self.encoder(tokens + self.position)[:, 0])


def lenet():
    return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


class Characters(nn.Module):
    """One-hot characters, a recurrent layer of 256 (nn.RNN, nn.GRU or nn.LSTM), scores of the symbols at each step."""

    def __init__(self, layer, symbols=60, width=256):
        super().__init__()
        self.symbols = symbols
        self.layer, self.scores = layer(symbols, width, batch_first=True), nn.Linear(width, symbols)

    def forward(self, x):
        states, _ = self.layer(F.one_hot(x, self.symbols).float())
        return self.scores(states)


class Translator(nn.Module):
    """Transformer: 2 encoder and 2 decoder layers, width 128, 4 heads, feed-forward 512, dropout 0.1, 1,000 symbols."""

    def __init__(self, symbols=1000, width=128):
        super().__init__()
        self.source, self.target = nn.Embedding(symbols, width), nn.Embedding(symbols, width)
        self.layers = nn.Transformer(width, 4, 2, 2, 512, dropout=0.1, batch_first=True)
        self.scores = nn.Linear(width, symbols)

    def forward(self, source, target):
        causal = self.layers.generate_square_subsequent_mask(target.shape[1]).to(target.device)
        return self.scores(self.layers(self.source(source), self.target(target), tgt_mask=causal))


class UNet(nn.Module):
    """Widths 16 to 128, two 3x3 convolutions a level, transposed 2x2 convolutions up, scores of 4 classes a pixel."""

    def __init__(self, widths=(16, 32, 64, 128)):
        super().__init__()
        level = lambda i, o: nn.Sequential(conv(i, o, 3), conv(o, o, 3))
        rising = list(zip(widths[:-1], widths[1:]))
        self.first = level(3, widths[0])
        self.down = nn.ModuleList(nn.Sequential(nn.MaxPool2d(2), level(i, o)) for i, o in rising)
        self.up = nn.ModuleList(nn.ConvTranspose2d(o, i, 2, 2) for i, o in reversed(rising))
        self.join = nn.ModuleList(level(2 * i, i) for i, _ in reversed(rising))
        self.scores = nn.Conv2d(widths[0], 4, 1)

    def forward(self, x):
        kept = [self.first(x)]
        for down in self.down:
            kept.append(down(kept[-1]))
        x = kept.pop()
        for up, join in zip(self.up, self.join):
            x = join(torch.cat([up(x), kept.pop()], 1))
        return self.scores(x)
