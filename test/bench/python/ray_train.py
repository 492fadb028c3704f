"""Trains on a Ray of three raylets on this machine, and by the command with as many workers: seconds of each, and whether labels are the same.

Arguments: the checkout, an .npy file, a folder, the number of workers.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

root, data, folder, workers = sys.argv[1:]
main = str(Path(root, "dist/cli/main.js"))
client = str(Path(root, "clients/python/src"))
os.environ.update(DPMESH=main, PYTHONPATH=client)
sys.path.insert(0, client)

import ray
from dpmesh.ray import train
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
for _ in range(2):
    cluster.add_node(num_cpus=1)
ray.init(address=cluster.address, log_to_driver=False)
begin = time.monotonic()
model = train(data, num_workers=int(workers), storage_path=folder, name="ray", draw_report=False)
on_ray = time.monotonic() - begin
ray.shutdown()
cluster.shutdown()
begin = time.monotonic()
flags = ["--out", f"{folder}/command", "--workers", workers, "--no-report", "--no-http", "--json"]
subprocess.run(["node", main, "train", data, *flags], check=True, capture_output=True)
by_command = time.monotonic() - begin
labels = [Path(run, "labels.npy").read_bytes() for run in (model.run_directory_, f"{folder}/command")]
print(json.dumps({"ray": on_ray, "command": by_command, "same": labels[0] == labels[1]}))
