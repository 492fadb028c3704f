"""A 10-dimensional UMAP embedding of all 70,000 MNIST images, from the four IDX files.

    python make.py FOLDER [--out DIR] [--seed 0]

Writes mnist_umap10.npy (70000 x 10 float32, C order) and mnist_labels.npy (70000 uint8): the 60,000 training
images, then the 10,000 test images, each in the order of its file. The embedding does not use the labels.
"""
import argparse
import pathlib
import struct
import time

import numpy as np
import umap


def read_idx(path, shape):
    raw = path.read_bytes()
    dims = struct.unpack_from(f'>{len(shape)}i', raw, 4)
    if raw[:4] != bytes([0, 0, 8, len(shape)]) or dims != shape:
        raise SystemExit(f'{path}: not an IDX file of unsigned bytes of shape {shape}')
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


here = pathlib.Path(__file__).resolve().parent
args = argparse.ArgumentParser(description='UMAP embedding of MNIST')
args.add_argument('folder', type=pathlib.Path, help='folder with the four IDX files')
args.add_argument('--out', type=pathlib.Path, default=here, help='output folder (default: that of this file)')
args.add_argument('--seed', type=int, default=0)
args = args.parse_args()

parts = (('train', 60_000), ('t10k', 10_000))
images = np.concatenate([read_idx(args.folder / f'{p}-images-idx3-ubyte', (n, 28, 28)) for p, n in parts])
labels = np.concatenate([read_idx(args.folder / f'{p}-labels-idx1-ubyte', (n,)) for p, n in parts])

start = time.time()
# A fixed random_state restricts UMAP to one thread; n_jobs=1 avoids a warning about that.
model = umap.UMAP(n_components=10, n_neighbors=15, min_dist=0.0, random_state=args.seed, n_jobs=1)
embedding = model.fit_transform(images.reshape(len(images), -1).astype(np.float32) / 255)

args.out.mkdir(parents=True, exist_ok=True)
np.save(args.out / 'mnist_umap10.npy', np.ascontiguousarray(embedding, np.float32))
np.save(args.out / 'mnist_labels.npy', labels)
print(f'{embedding.shape} embedded in {time.time() - start:.0f} s')
