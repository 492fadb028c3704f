"""Float32 products of m×k and k×n per second, measured from time `argv[1]` (Unix, seconds) for `argv[2]` seconds."""
import json
import sys
import time

import numpy as np

start, length = map(float, sys.argv[1:3])
m, k, n = map(int, sys.argv[3:] or [512] * 3)
random = np.random.default_rng(0).random
a, b = random((m, k), dtype="f4"), random((k, n), dtype="f4")
while time.time() < start:
    a @ b
count = 0
while time.time() < start + length:
    a @ b
    count += 1
print(json.dumps(count / length))
