#!/usr/bin/python3
"""Ten Adam steps of LeNet in PyTorch, recorded as tests/golden/lenet.safetensors.

usage: lenet.py [--out FILE]

One batch of 16 random pictures is shown ten times: mean cross-entropy, Adam with rate 1e-3 and PyTorch's default
betas (0.9, 0.999) and epsilon 1e-8. The pictures and the starting weights are float32, so that float32 and
float64 start equal; the numbers to compare with come from a float64 run.

    input [16, 1, 28, 28] F32, label [16] I64, start/NAME F32
    loss [10]         before each step
    grad1/NAME        gradients of the first step
    grad10/NAME       gradients of the tenth
    after/NAME        weights after it
    loss_f32 [10]     the losses of PyTorch's own float32 run

NAME is conv1.weight, conv1.bias, conv2.*, fc1.*, fc2.*, fc3.*; a weight is [out, in, ...] as PyTorch keeps it.
"""
import collections

import torch
import torch.nn as nn
import torch.nn.functional as F

import golden

# Of the seeds 1 to 60 this one keeps every relu's input and every pooling window's lead furthest from a tie (1.3e-6)
# in all ten steps. Others come as near as 1e-9: there rounding to float32 sends gradients another way, 1e-3 off.
SEED, BATCH, STEPS, RATE = 49, 16, 10, 1e-3


def lenet():
    """28x28 -> 6 maps of 14x14 -> 16 maps of 5x5 -> 120 -> 84 -> 10 scores."""
    return nn.Sequential(collections.OrderedDict(
        conv1=nn.Conv2d(1, 6, 5, padding=2), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(6, 16, 5), relu2=nn.ReLU(), pool2=nn.MaxPool2d(2), flatten=nn.Flatten(),
        fc1=nn.Linear(400, 120), relu3=nn.ReLU(), fc2=nn.Linear(120, 84), relu4=nn.ReLU(), fc3=nn.Linear(84, 10)))


def gradients(net, prefix):
    return {f"{prefix}/{name}": p.grad.clone() for name, p in net.named_parameters()}


def weights(net, prefix):
    return {f"{prefix}/{name}": p.detach().clone() for name, p in net.named_parameters()}


def train(net, x, label):
    """Ten steps; the losses, and what else the file holds of the run."""
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    losses, kept = [], {}
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), label)
        loss.backward()
        losses.append(loss.item())
        if step in (1, STEPS):
            kept |= gradients(net, f"grad{step}")
        optimizer.step()
    return losses, kept | weights(net, "after")


def record():
    torch.manual_seed(SEED)
    x, label = torch.rand(BATCH, 1, 28, 28), torch.randint(0, 10, (BATCH,))
    net = lenet()
    tensors = {"input": x, "label": label, **weights(net, "start")}

    single, _ = train(net, x, label)
    net.load_state_dict({name: tensors[f"start/{name}"] for name, _ in net.named_parameters()})
    net.double()
    losses, kept = train(net, x.double(), label)

    tensors |= {"loss": torch.tensor(losses, dtype=torch.float64), "loss_f32": torch.tensor(single), **kept}
    return tensors, {"lenet": golden.as_text({"seed": SEED, "steps": STEPS, "optimizer": "adam", "rate": RATE,
                                              "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8})}


if __name__ == "__main__":
    golden.main(record, "lenet.safetensors", __doc__)
