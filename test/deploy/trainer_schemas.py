"""Checks JobSets and objects of Kubeflow Trainer by the models of its Python package, which drop what they do not know."""

import sys

import yaml
from kubeflow_trainer_api import models

MODELS = {
    "JobSet": models.JobsetV1alpha2JobSet,
    "ClusterTrainingRuntime": models.TrainerV1alpha1ClusterTrainingRuntime,
    "TrainJob": models.TrainerV1alpha1TrainJob,
}


def assert_kept(given: object, known: object, place: str) -> None:
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            assert_kept(value, known.get(key), f"{place}.{key}")
    elif isinstance(given, list) and isinstance(known, list):
        for index, value in enumerate(given):
            assert_kept(value, known[index], f"{place}[{index}]")
    elif given != known:
        sys.exit(f"{place} is {given!r}, of which the model keeps {known!r}")


for path in sys.argv[1:]:
    with open(path) as file:
        for document in yaml.safe_load_all(file):
            kind = document["kind"]
            if kind in MODELS:
                assert_kept(document, MODELS[kind].from_dict(document).to_dict(), kind)
                print(kind)
