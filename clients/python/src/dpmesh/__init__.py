"""Deep clustering with an unknown number of clusters: an estimator over the command ``dpmesh``."""

from ._estimator import DPMesh

__all__ = ["DPMesh"]
__version__ = "0.1.0"
