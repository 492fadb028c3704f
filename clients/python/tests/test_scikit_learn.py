"""Together with scikit-learn and pandas."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import functools
import json
import unittest
import warnings
from pathlib import Path
from unittest import mock

import dpmesh
import numpy as np
import pandas as pd
from sklearn.base import ClusterMixin, clone, is_clusterer
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from support import QUICK, SEARCH, blobs, warm_commands

X, _ = blobs()
# A DataFrame of it writes into it with pandas before 3.
X.flags.writeable = False
#: The checks have as few as 20 rows, in which the default prior sees one cluster.
FEW_ROWS = {**QUICK, "covariance": "diag", "alpha": 1000}


setUpModule = warm_commands


@functools.cache
def expected() -> np.ndarray:
    """The labels of X as an array."""
    return dpmesh.DPMesh(**QUICK).fit(X).labels_


def with_and_without_pyarrow() -> list[contextlib.AbstractContextManager[object]]:
    return [contextlib.nullcontext(), mock.patch.object(pd.DataFrame, "to_parquet", side_effect=ImportError)]


class DPMesh(dpmesh.DPMesh, ClusterMixin):
    """With the mixin by which scikit-learn knows what to check as a clusterer."""


class Checks(unittest.TestCase):
    def test_all_checks_of_estimators_and_clusterers_pass(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # These want a column of predict_proba for each class of y.
            unfit = {f"check_estimator_sparse_{form}": "of classifiers" for form in ("array", "matrix")}
            results = estimator_checks.check_estimator(DPMesh(**FEW_ROWS), on_fail=None, expected_failed_checks=unfit)
        failed = [(result["check_name"], result["exception"]) for result in results if result["status"] == "failed"]
        self.assertEqual(failed, [])
        self.assertIn("check_clustering", {result["check_name"] for result in results})


class Together(unittest.TestCase):
    def test_clone_and_pipeline(self) -> None:
        model = dpmesh.DPMesh(**QUICK, labels=np.zeros(len(X), int))
        self.assertTrue(is_clusterer(model))
        self.assertEqual(clone(model).get_params().keys(), model.get_params().keys())
        pipeline = make_pipeline(StandardScaler(), dpmesh.DPMesh(**QUICK))
        labels = pipeline.fit_predict(X)
        np.testing.assert_array_equal(pipeline.predict(X), labels)
        self.assertEqual(pipeline[-1].n_clusters_, 3)

    def test_a_frame_of_numbers(self) -> None:
        frame = pd.DataFrame(X, columns=["a", "b", "c"])
        model = dpmesh.DPMesh(**QUICK).fit(frame)
        self.assertEqual(model.feature_names_in_.tolist(), ["a", "b", "c"])
        np.testing.assert_array_equal(model.labels_, expected())
        np.testing.assert_array_equal(model.predict(frame), model.labels_)
        with self.assertWarnsRegex(UserWarning, "does not have valid feature names"):
            np.testing.assert_array_equal(model.predict(X), model.labels_)
        for other in (frame[["b", "a", "c"]], frame[["c", "b", "a"]].assign(other="x")):
            np.testing.assert_array_equal(model.predict(other), model.labels_)
            np.testing.assert_array_equal(dpmesh.DPMesh.load(model.run_directory_).predict(other), model.labels_)
        with self.assertRaisesRegex(ValueError, '^X has no column "b", which the estimator was trained on$'):
            model.predict(frame[["a", "c"]])
        nullable = frame.astype({"a": "Float64"})
        nullable.loc[7, "a"] = pd.NA
        with self.assertRaisesRegex(ValueError, "row 7, column 0"):
            model.predict(nullable)

    def test_names_and_dates_of_rows_are_left_out(self) -> None:
        plain = pd.DataFrame(X, columns=["a", "b", "c"])
        order = np.random.default_rng(0).permutation(len(X))
        frame = plain.assign(id=3 * order, day=20260101 + order % 31)[["id", "a", "b", "day", "c"]]
        for form in with_and_without_pyarrow():
            with form, self.assertWarnsRegex(UserWarning, r"id names or numbers the rows.*in columns=\[…\]"):
                model = dpmesh.DPMesh(**QUICK).fit(frame)
            self.assertEqual(model.cluster_centers_.shape, (3, 3))
            for new in (frame, plain, frame[["c", "day", "b", "a"]]):
                np.testing.assert_array_equal(model.predict(new), expected())
        kept = dpmesh.DPMesh(**QUICK, columns=["a", "b", "c", "id"]).fit(frame)
        self.assertEqual(kept.cluster_centers_.shape[1], 4)

    def test_columns_that_are_only_numbered(self) -> None:
        frame = pd.DataFrame(X.copy())
        frame.loc[3, 1] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            filled = dpmesh.DPMesh(**QUICK, impute="median").fit(frame)
            array = dpmesh.DPMesh(**QUICK, impute="median").fit(frame.to_numpy())
            fewer = dpmesh.DPMesh(**QUICK, drop=[1]).fit(frame)
        np.testing.assert_array_equal(array.labels_, filled.labels_)
        self.assertEqual(filled.cluster_centers_.shape, (3, 3))
        expected = [X[fewer.labels_ == cluster][:, [0, 2]].mean(0) for cluster in range(3)]
        np.testing.assert_allclose(fewer.cluster_centers_, expected, rtol=1e-5)
        for model in (filled, array, fewer):
            for new in (frame, frame[[2, 0, 1]], frame.to_numpy()):
                np.testing.assert_array_equal(model.predict(new), model.labels_)
        loaded = dpmesh.DPMesh.load(filled.run_directory_)
        for new in (frame, frame[[2, 0, 1]], frame.to_numpy()):
            np.testing.assert_array_equal(loaded.predict(new), filled.labels_)
        with self.assertRaisesRegex(ValueError, "^drop: X has no column 3; "):
            dpmesh.DPMesh(**QUICK, drop=[3]).fit(frame)

    def test_an_index_names_rows(self) -> None:
        frame = pd.DataFrame(X, columns=["a", "b", "c"], index=[f"{i}!" for i in range(len(X))])
        for name, columns in (("index", frame), ("who", frame.rename_axis("who")), ("a_", frame.rename_axis("a"))):
            model = dpmesh.DPMesh(**QUICK).fit(columns)
            np.testing.assert_array_equal(model.labels_, expected())
            np.testing.assert_array_equal(model.predict(columns[["c", "b", "a"]]), expected())
            self.assertEqual(model.feature_names_in_.tolist(), ["a", "b", "c"])
            self.assertEqual(model.n_features_in_, 3)
            means = [X[model.labels_ == cluster].mean(0) for cluster in range(3)]
            np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-5)
            table = pd.read_csv(Path(model.run_directory_) / "labels.csv", index_col=name)
            self.assertEqual(table.cluster[[row["id"] for row in model.clusters_[1]["exemplars"]]].tolist(), [1] * 10)
        some = pd.DataFrame(X)[X[:, 0] > 1]
        for row in dpmesh.DPMesh(**QUICK).fit(some).clusters_[0]["exemplars"]:
            self.assertEqual(some.index[row["row"]], int(row["id"]))

    def test_a_split_frame_is_updated(self) -> None:
        frame = pd.DataFrame(X, columns=["a", "b", "c"])
        shuffled = frame.sample(frac=1, random_state=0)
        first, second = shuffled[:160], shuffled[160:]
        named = first.rename_axis("who"), second.rename_axis("who")
        grouped = [part.set_index([part.index % 7, part.index]) for part in (first, second)]
        for before, new in (
            (first, second.set_index(second.index % 5)),
            (first, second[["c", "a", "b"]].assign(more="x")),
            (named[0], named[1].reset_index()),
            (frame[:160], second),
            grouped,
        ):
            model = dpmesh.DPMesh(**QUICK).fit(before)
            expected = model.predict(new)
            np.testing.assert_array_equal(model.update(new).labels_, expected)
        table = dpmesh.DPMesh(**QUICK).fit(first).partial_fit(second)
        ids = [row["id"] for cluster in table.clusters_ for row in cluster["exemplars"]]
        self.assertLessEqual({*ids}, {*map(str, second.index)})

    def test_what_columns_are(self) -> None:
        frame = pd.DataFrame(X, columns=["a", "b", "c"])
        noise = np.random.default_rng(0).normal(size=len(X)) * 1e-33
        with self.assertWarnsRegex(UserWarning, r"^X: dropped 1 column that hardly varies \(d\): "):
            model = dpmesh.DPMesh(**QUICK).fit(frame.assign(d=noise))
        np.testing.assert_array_equal(model.labels_, expected())
        np.testing.assert_array_equal(model.predict(frame.assign(d=noise)), expected())
        for missing in (frame.assign(d=np.nan), frame.assign(d=None)):
            for impute in (None, "median", "drop"):
                with self.assertRaisesRegex(ValueError, r'no value in column d: leave it out( with drop=\["d"\])?$'):
                    dpmesh.DPMesh(**QUICK, impute=impute).fit(missing)
        kinds = frame.assign(d=pd.Categorical([3, 1, 2] * 80))
        with self.assertRaisesRegex(ValueError, r'text in column 4 \(d\), .*; categorical=\["d"\] clusters by its categories$'):
            dpmesh.DPMesh(**QUICK).fit(kinds)
        texts = frame.assign(d=pd.Categorical(["3", "1", "2"] * 80))
        by_numbers, by_texts = (dpmesh.DPMesh(**QUICK, categorical=["d"]).fit(form) for form in (kinds, texts))
        np.testing.assert_array_equal(by_numbers.labels_, by_texts.labels_)
        np.testing.assert_array_equal(by_numbers.predict(kinds), by_numbers.labels_)
        twice = frame.set_axis(["a", "b", "a"], axis=1)
        with self.assertWarnsRegex(UserWarning, '^X: 2 columns are called "a": each of them is clustered, '):
            np.testing.assert_array_equal(dpmesh.DPMesh(**QUICK).fit(twice).labels_, expected())
        with self.assertRaisesRegex(ValueError, '^X has several columns called "a": rename them'):
            dpmesh.DPMesh(**QUICK).fit(twice.assign(d="x"))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with self.assertRaisesRegex(ValueError, "Infinity"):
                dpmesh.DPMesh(**QUICK).fit(frame.assign(d=np.inf))
        with self.assertRaisesRegex(ValueError, "^X has dates in column 4 .d., which cannot be clustered: leave out"):
            dpmesh.DPMesh(**QUICK).fit(frame.assign(d=pd.NaT))
        for kind, what in (("M8[D]", "dates"), ("m8[h]", "durations")):
            with self.assertRaisesRegex(ValueError, f"^X has {what}, which cannot be clustered: make numbers of them"):
                dpmesh.DPMesh(**QUICK).fit(np.arange(10).reshape(5, 2).astype(kind))

    def test_warnings_are_of_the_line_that_called(self) -> None:
        frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(d=1.0)
        model = dpmesh.DPMesh(**QUICK)
        for call in (model.fit, model.fit_predict, dpmesh.DPMesh(**QUICK).partial_fit):
            with self.assertWarnsRegex(UserWarning, "constant column") as caught:
                call(frame)
            self.assertEqual(caught.filename, __file__)
        with self.assertWarnsRegex(UserWarning, "valid feature names") as caught:
            model.predict(frame.to_numpy())
        self.assertEqual(caught.filename, __file__)

    def test_mistakes_are_told_in_the_words_of_python(self) -> None:
        for options, says in (
            ({"schedule": "slow"}, "^schedule slow must be one of"),
            ({"keys": "keys"}, "^keys is for workers on other machines, .* give bind too$"),
            ({"bind": "tcp://127.0.0.1:*"}, "^workers: with bind workers are started elsewhere: leave it out$"),
        ):
            with self.assertRaisesRegex(ValueError, says):
                dpmesh.DPMesh(**{**QUICK, **options}).fit(X)
        model = dpmesh.DPMesh(**QUICK).fit(X)
        for y in (np.zeros(10, int), None):
            with self.assertRaisesRegex(ValueError, r"^y has shape \(.*\), but X has 240 rows: "):
                model.score(X, y)
        for clusters in (0, -1, "x"):
            with self.assertRaisesRegex(ValueError, "^n_clusters"):
                model.cut(clusters)

    def test_what_is_no_table_is_said(self) -> None:
        with self.assertRaisesRegex(TypeError, "^X is a dict: pass a DataFrame of it$"):
            dpmesh.DPMesh(**QUICK).fit({"a": [1, 2]})

    def test_rounded_numbers_have_the_same_clusters_in_16_bits(self) -> None:
        iris = load_iris(as_frame=True).data
        counts = [dpmesh.DPMesh(**SEARCH).fit(iris.astype(kind)).n_clusters_ for kind in ("float64", "float32", "float16")]
        self.assertEqual(counts, [3, 3, 3])

    def test_a_frame_with_text_is_read_as_a_table(self) -> None:
        numbers = pd.DataFrame(X, columns=["a", "b", "c"])
        frame = numbers.assign(name=[f"row {i}" for i in range(len(X))])
        text = frame.assign(b="x")[["a", "c", "name", "b"]]
        says = r'^X has text in columns 3 \(name\), 4 \(b\), .* drop=\["name", "b"\], or keep with id="name"; categorical=\["b"\] clusters'
        with self.assertRaisesRegex(ValueError, says):
            dpmesh.DPMesh(**QUICK).fit(text)
        for form in with_and_without_pyarrow():
            with form:
                model = dpmesh.DPMesh(**QUICK, id="name").fit(frame)
                np.testing.assert_array_equal(model.labels_, expected())
                np.testing.assert_array_equal(model.predict(frame), expected())
        self.assertEqual(model.n_features_in_, 4)
        means = [X[model.labels_ == cluster].mean(0) for cluster in range(3)]
        np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-5)
        np.testing.assert_array_equal(model.predict(numbers[["b", "c", "a"]].assign(other="x")), expected())
        with self.assertRaisesRegex(ValueError, '^X has no column "b", which the estimator was trained on'):
            model.predict(frame[["a", "c"]])
        with self.assertWarnsRegex(UserWarning, "does not have valid feature names"):
            np.testing.assert_array_equal(model.predict(X), expected())

    def test_types_of_columns_do_not_depend_on_pyarrow(self) -> None:
        row = np.arange(len(X))
        frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(
            plain=row % 2 == 0,
            objects=pd.Series(row % 3 == 0, dtype=object),
            nullable=pd.array(row % 5 == 0, dtype="boolean"),
            price=[decimal.Decimal(i % 7) for i in range(len(X))],
        )
        frame.loc[5, "nullable"] = pd.NA
        unusable = frame.assign(
            code=[f"{i:03}" for i in row],
            day=pd.Timestamp("2026-01-01"),
            text_of_day="2026-01-01",
            week=pd.period_range("2020", periods=len(X), freq="W"),
            mixed=[1, "x"] * (len(X) // 2),
            at=[datetime.time(i % 24, 5) for i in row],
            spent=pd.to_timedelta(row % 7 - 3, "h"),
            waited=pd.Series([datetime.timedelta(hours=int(i) % 30) for i in row], dtype=object),
            graded=[1.5, "x"] * (len(X) // 2),
        )
        columns = ["code", "day", "text_of_day", "week", "mixed", "at", "spent", "waited", "graded"]
        said, labels = [], []
        for form in with_and_without_pyarrow():
            with form:
                with self.assertRaisesRegex(
                    ValueError,
                    r"^X has text in columns 8 \(code\), 12 \(mixed\), 16 \(graded\), and dates in columns 9 \(day\), 10 \(text_of_day\), 11 \(week\), "
                    r"and times in column 13 \(at\), and durations in columns 14 \(spent\), 15 \(waited\), which",
                ) as raised:
                    dpmesh.DPMesh(**QUICK, impute="mean").fit(unusable)
                said.append(str(raised.exception))
                labels.append(dpmesh.DPMesh(**QUICK, impute="mean", drop=columns).fit(unusable).labels_)
        self.assertEqual(said[0], said[1])
        np.testing.assert_array_equal(labels[0], labels[1])

    def test_lists_are_clustered(self) -> None:
        frame = pd.DataFrame({"embedding": list(X), "text": "x"})
        for form in with_and_without_pyarrow():
            with form:
                np.testing.assert_array_equal(dpmesh.DPMesh(**QUICK, columns="embedding").fit(frame).labels_, expected())

    def test_missing_values_can_be_filled(self) -> None:
        frame = pd.DataFrame(X.copy(), columns=["a", "b", "c"])
        frame.loc[3, "b"] = np.nan
        with self.assertRaisesRegex(ValueError, '^X.*row 3, column 1.*impute="median" does so$'):
            dpmesh.DPMesh(**QUICK).fit(frame)
        with self.assertRaisesRegex(ValueError, '^X row 3 .counted from 0., column b: .* rows out with impute="drop"$'):
            dpmesh.DPMesh(**QUICK, drop="c").fit(frame)
        model = dpmesh.DPMesh(**QUICK, impute="median").fit(frame)
        np.testing.assert_array_equal(model.predict(frame), model.labels_)
        filled = frame.fillna(frame.median()).to_numpy()
        means = [filled[model.labels_ == cluster].mean(0) for cluster in range(3)]
        np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-5)

    def test_near_copies_are_listed(self) -> None:
        rows = np.random.default_rng(0).normal(size=(300, 40))
        rows[10] = np.nan
        rows[200:210] = rows[20:30]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = dpmesh.DPMesh(likelihood="graph", impute="drop", max_epochs=4).fit(pd.DataFrame(rows))
        expected = np.full(300, -1)
        expected[20:30] = expected[200:210] = range(20, 30)
        np.testing.assert_array_equal(model.copies_, expected)

    def test_rows_with_missing_values_can_be_left_out(self) -> None:
        frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(name="x")
        bad = [0, 3, 4, 239]
        frame.loc[bad, "b"] = np.nan
        model = dpmesh.DPMesh(**QUICK, impute="drop", drop=["name"]).fit(frame)
        self.assertEqual(np.flatnonzero(model.labels_ == -1).tolist(), bad)
        self.assertEqual(np.flatnonzero(np.isnan(model.probabilities_)).tolist(), bad)
        self.assertEqual(np.flatnonzero(np.isnan(model.outlier_scores_)).tolist(), bad)
        self.assertEqual(np.flatnonzero(model.cut(2) == -1).tolist(), bad)
        apart = dpmesh.DPMesh(**QUICK, impute="drop", drop=["name"], noise=True).fit(frame)
        self.assertEqual(np.flatnonzero(apart.labels_ == -3).tolist(), bad)
        self.assertEqual(np.flatnonzero(apart.cut(2) == -3).tolist(), bad)
        good = frame.drop(index=bad)
        np.testing.assert_array_equal(model.predict(good), model.labels_[good.index])
        means = [X[model.labels_ == cluster].mean(0) for cluster in range(3)]
        np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-5)
        for number, cluster in enumerate(model.clusters_):
            self.assertEqual({number}, {*model.labels_[[row["row"] for row in cluster["exemplars"]]].tolist()})


if __name__ == "__main__":
    unittest.main()
