#!/usr/bin/python3
"""Eight steps of every optimizer in float64, recorded as tests/golden/optimizers.safetensors.

usage: optimizers.py [--out FILE]

Two parameters, a [3, 4] and b [5], take gradients that the file gives, so that a rule is tested without a network. The
gradients' scale changes from step to step: clipping acts on some steps and leaves others alone, and the last
value of b never gets one.

    start/a, start/b            where every case begins
    gradient/a [8, 3, 4], /b    the gradient of each step
    CASE/a [8, 3, 4], CASE/b    the weights after each step

Each case's hyperparameters stand in __metadata__ as JSON text. Starting weights and gradients are values that
float32 holds exactly. PyTorch computes every case but two that it lacks: "momentum_average" and "rmsprop_corrected"
follow the formulas beside them.
"""
import torch

import golden

SEED, STEPS = 3, 8
SCALES = [1, 0.1, 3, 0.01, 10, 1, 0.3, 2]
RATE = 0.05


def clipped(optimizer, parameters, clip):
    """One step of a PyTorch optimizer, its gradients clipped first."""
    if "clip_norm" in clip:
        torch.nn.utils.clip_grad_norm_(parameters, clip["clip_norm"])       # one norm over both parameters
    if "clip_value" in clip:
        torch.nn.utils.clip_grad_value_(parameters, clip["clip_value"])
    optimizer.step()


def by_torch(kind, clip, **options):
    """A rule: (start, gradients) -> the weights after each step, both as lists of one tensor a parameter."""
    def run(start, gradients):
        parameters = [torch.nn.Parameter(p.clone()) for p in start]
        optimizer, after = kind(parameters, lr=RATE, **options), []
        for step in gradients:
            for p, g in zip(parameters, step):
                p.grad = g.clone()
            clipped(optimizer, parameters, clip)
            after.append([p.detach().clone() for p in parameters])
        return after
    return run


def momentum_average(momentum):
    """v = m v + (1 - m) g from v = 0;  p = p - rate v.  PyTorch's dampening leaves the first gradient whole."""
    def run(start, gradients):
        p, v, after = list(start), [torch.zeros_like(p) for p in start], []
        for step in gradients:
            v = [momentum * old + (1 - momentum) * g for old, g in zip(v, step)]
            p = [old - RATE * d for old, d in zip(p, v)]
            after.append(p)
        return after
    return run


def rmsprop_corrected(beta, epsilon):
    """s = b s + (1 - b) g^2 from s = 0;  p = p - rate g / (sqrt(s / (1 - b^t)) + epsilon)."""
    def run(start, gradients):
        p, s, after = list(start), [torch.zeros_like(p) for p in start], []
        for t, step in enumerate(gradients, 1):
            s = [beta * old + (1 - beta) * g * g for old, g in zip(s, step)]
            p = [old - RATE * g / (torch.sqrt(q / (1 - beta ** t)) + epsilon) for old, g, q in zip(p, step, s)]
            after.append(p)
        return after
    return run


def cases():
    """name -> rule, hyperparameters. rmsprop's beta is PyTorch's alpha; decay is L2 except where "decoupled"."""
    o = torch.optim
    adam = {"beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8}
    betas = {"betas": (0.9, 0.99), "eps": 1e-8}
    norm, value = {"clip_norm": 1.5}, {"clip_value": 0.4}
    return {
        "sgd": (by_torch(o.SGD, {}), {}),
        "sgd_decay": (by_torch(o.SGD, {}, weight_decay=0.1), {"decay": 0.1}),
        "momentum": (by_torch(o.SGD, {}, momentum=0.9), {"momentum": 0.9}),
        "momentum_average": (momentum_average(0.9), {"momentum": 0.9, "average": True}),
        "nesterov": (by_torch(o.SGD, {}, momentum=0.9, nesterov=True), {"momentum": 0.9, "nesterov": True}),
        "rmsprop": (by_torch(o.RMSprop, {}, alpha=0.9, eps=1e-8), {"beta": 0.9, "epsilon": 1e-8}),
        "rmsprop_corrected": (rmsprop_corrected(0.9, 1e-8), {"beta": 0.9, "epsilon": 1e-8, "corrected": True}),
        "adam": (by_torch(o.Adam, {}, **betas), adam),
        "adam_decay": (by_torch(o.Adam, {}, weight_decay=0.1, **betas), {**adam, "decay": 0.1}),
        "adamw": (by_torch(o.AdamW, {}, weight_decay=0.1, **betas), {**adam, "decay": 0.1, "decoupled": True}),
        "sgd_clip_norm": (by_torch(o.SGD, norm), norm),
        "sgd_clip_value": (by_torch(o.SGD, value), value),
        "adam_clip_norm": (by_torch(o.Adam, norm, **betas), {**adam, **norm}),
    }


def problem():
    """Starting values of a and b, and a gradient for both at each step."""
    draw = lambda: [torch.randn(3, 4, dtype=torch.float64), torch.randn(5, dtype=torch.float64)]
    torch.manual_seed(SEED)
    start = [golden.exact(p) for p in draw()]
    gradients = [[golden.exact(scale * g) for g in draw()] for scale in SCALES]
    for _, b in gradients:
        b[-1] = 0
    return start, gradients


def named(prefix, steps):
    """Each parameter's tensors of all steps in one, [8, ...]."""
    return {f"{prefix}/{name}": torch.stack(column) for name, column in zip("ab", zip(*steps))}


def record():
    start, gradients = problem()
    tensors = {"start/a": start[0], "start/b": start[1], **named("gradient", gradients)}
    metadata = {}
    for name, (rule, hyper) in cases().items():
        tensors |= named(name, rule(start, gradients))
        metadata[name] = golden.as_text({"rate": RATE, **hyper})
    return tensors, metadata


if __name__ == "__main__":
    golden.main(record, "optimizers.safetensors", __doc__)
