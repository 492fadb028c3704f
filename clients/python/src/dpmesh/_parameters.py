"""The protocol of scikit-learn's estimators, for which scikit-learn is not needed."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from ._suggestions import unknown_parameter

if TYPE_CHECKING:
    from typing_extensions import Self


class Parameters:
    """Parameters of ``__init__`` that can be read, set and shown, and tags."""

    #: For scikit-learn before 1.6, which has no tags.
    _estimator_type = "clusterer"

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        parameters = inspect.signature(cls.__init__).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters if parameter.name != "self"}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name. `deep` changes nothing: none of them is an estimator."""
        return {name: getattr(self, name) for name in self._defaults()}

    def set_params(self, **params: Any) -> Self:
        """Sets parameters by name. Raises ValueError for a name that is none."""
        known = self._defaults()
        for name, value in params.items():
            if name not in known:
                raise ValueError(unknown_parameter(name, known))
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        changed = [
            f"{name}={getattr(self, name)!r}"
            for name, default in self._defaults().items()
            if getattr(self, name) is not default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type="clusterer",
            target_tags=TargetTags(required=False),
            input_tags=InputTags(three_d_array=True, sparse=True),
        )


def not_fitted(estimator: object) -> Exception:
    """The error for an estimator that was not fitted: that of scikit-learn, if it is installed."""
    message = f"This {type(estimator).__name__} instance is not fitted yet. Call 'fit' before using this estimator."
    try:
        from sklearn.exceptions import NotFittedError
    except ImportError:
        return AttributeError(message)
    error: Exception = NotFittedError(message)
    return error
