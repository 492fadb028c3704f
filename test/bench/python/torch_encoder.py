"""Trains dpmesh's default auto-encoder with PyTorch: torch_encoder.py ROWS.npy PASSES SEED.

One process, batches of 256 one after the other, Adam with its default rate and dpmesh's schedule. Prints the seconds of each pass and its
mean error, as a share of the variance, as JSON.
"""
import json
import math
import os
import sys
import time

import numpy as np
import torch
from torch import nn

WIDTHS = [500, 500, 2000, 10, 2000, 500, 500]
CODE = 3
BATCH, RATE, WARM_UP = 256, 1e-3, 0.5

rows, passes = np.load(sys.argv[1]), int(sys.argv[2])
torch.manual_seed(int(sys.argv[3]))
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def inputs():
    """Centred, and divided by one number: those of its columns that vary have variance 1 on average."""
    x = torch.from_numpy(rows.reshape(len(rows), -1).astype(np.float32))
    x -= x.mean(0)
    variances = x.var(0, correction=0)
    varying = int((variances > 0).sum())
    return x / (variances.sum() / varying).sqrt(), varying


def network(columns):
    widths = [columns, *WIDTHS, columns]
    layers = []
    for layer, (below, above) in enumerate(zip(widths, widths[1:])):
        layers.append(nn.Linear(below, above))
        if layer not in (CODE, len(widths) - 2):
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


x, variance = inputs()
net = network(x.shape[1])
optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
steps = len(x) // BATCH


def rate(step):
    done = step / steps
    return min(1, (done + 0.002) / WARM_UP) * (1 + math.cos(math.pi * min(done, passes) / passes)) / 2


schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
seconds, errors = [], []
for _ in range(passes):
    start, total = time.perf_counter(), 0.0
    for part in torch.randperm(len(x)).split(BATCH)[:steps]:
        batch = x[part]
        loss = (net(batch) - batch).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
    seconds.append(time.perf_counter() - start)
    errors.append(total / steps / variance)
print(json.dumps({"seconds": seconds, "errors": errors}))
