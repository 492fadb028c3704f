"""Float32 matrix products a second, from the time `argv[1]` (seconds since 1970) on, for `argv[2]` seconds."""
import json
import sys
import time

import numpy as np

start, length = map(float, sys.argv[1:])
a = np.random.default_rng(0).random((512, 512), dtype="f4")
while time.time() < start:
    a @ a
count = 0
while time.time() < start + length:
    a @ a
    count += 1
print(json.dumps(count / length))
