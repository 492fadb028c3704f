"""What works with numpy alone, on every version of Python."""

from __future__ import annotations

import copy
import gc
import json
import os
import pickle
import shutil
import struct
import tempfile
import unittest
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
from dpmesh import DPMesh, _command
from dpmesh._command import run_command
from dpmesh._inputs import open_input
from dpmesh._options import RESULT_OPTIONS
from dpmesh._progress import _bar
from support import QUICK, SEARCH, blobs, warm_commands

X, TRUTH = blobs()
setUpModule = warm_commands
#: For a Python that has the package by `pip install` of this checkout.
NOT_INSTALLED = mock.patch.object(_command, "_installed_command", return_value=None)


class Tensor:
    """As much of a tensor of torch as is used: torch itself is too large to install for a test."""

    dtype = "torch.bfloat16"

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def detach(self) -> Tensor:
        return self

    cpu = float = detach

    def numpy(self) -> np.ndarray:
        return self.values


class Updated(unittest.TestCase):
    def test_clusters_keep_their_labels_and_new_ones_get_new_ones(self) -> None:
        model = DPMesh(**QUICK).partial_fit(X)
        before = model.predict(X)
        self.assertEqual((model.lineage_, model.drift_), ([], None))
        new = X[::2] + np.float32(0.01)
        self.assertIs(model.update(new), model)
        np.testing.assert_array_equal(model.labels_, before[::2])
        self.assertEqual(len(model.labels_), len(new))
        self.assertEqual((model.lineage_, model.drift_["alarms"]), ([], []))
        far = np.random.default_rng(3).normal(40, 0.5, (400, 3)).astype(np.float32)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model.partial_fit(far)
        self.assertRegex(str(said[0].message), "^X: the new rows are not like those before: 100 % of them")
        self.assertEqual(model.lineage_, [{"what": "born", "id": 3}])
        self.assertEqual({*model.labels_.tolist()}, {3})
        self.assertEqual({*model.predict(X).tolist()}, {0, 1, 2})
        self.assertEqual(model.n_clusters_, 4)

    def test_a_run_with_a_path_stays(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            model = DPMesh(**QUICK, out=f"{folder}/run").fit(X)
            model.update(X[:100] + np.float32(0.01))
            self.assertEqual(Path(model.run_directory_), Path(folder).resolve() / "run-2")
            again = DPMesh.load(f"{folder}/run-2")
            np.testing.assert_array_equal(again.labels_, model.labels_)
            with self.assertRaisesRegex(ValueError, r"^X: its rows are in the estimator already \(update 1\)"):
                again.update(X[:100] + np.float32(0.01))


    def test_a_path_with_dots_is_the_one_of_the_command(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            model = DPMesh(**QUICK, out=f"{folder}/no-such/../run").fit(X)
            self.assertEqual(Path(model.run_directory_), Path(folder) / "run")
            self.assertEqual(DPMesh.load(f"{folder}/no-such/../run").n_clusters_, 3)

    def test_words_need_the_texts_of_new_rows(self) -> None:
        new = X[:60] + np.float32(0.01)
        with tempfile.TemporaryDirectory() as folder:
            texts = Path(folder, "texts.txt")
            texts.write_text("wine and cheese\n" * len(X))
            model = DPMesh(**QUICK, texts=str(texts)).fit(X)
            with self.assertRaisesRegex(ValueError, "pass those of the new rows with"):
                model.update(new)
            texts.write_text("wine and bread\n" * len(new))
            model.update(new, texts=str(texts))
            self.assertIn("bread", {word["word"] for cluster in model.clusters_ for word in cluster["words"]})


class Fitted(unittest.TestCase):
    model: DPMesh

    @classmethod
    def setUpClass(cls) -> None:
        cls.model = DPMesh(**SEARCH, soft=True, components=True).fit(X)

    def test_clusters_are_found(self) -> None:
        model = self.model
        self.assertEqual(model.n_clusters_, 3)
        self.assertEqual(len({*zip(model.labels_.tolist(), TRUTH.tolist(), strict=True)}), 3)
        self.assertEqual(model.labels_.dtype, np.int32)
        # Each cluster is one component.
        np.testing.assert_array_equal(model.components_, model.labels_)
        self.assertEqual(model.n_features_in_, 3)
        self.assertFalse(hasattr(model, "feature_names_in_"))
        self.assertFalse(model.outliers_.any())
        self.assertTrue((model.copies_ == -1).all())
        self.assertEqual((model.map_.shape, model.map_.dtype), ((len(X), 2), np.float32))
        self.assertTrue(np.isfinite(model.map_).all())
        means = [X[model.labels_ == cluster].mean(0) for cluster in range(3)]
        np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-5)

    def test_clusters_are_described(self) -> None:
        model = self.model
        self.assertEqual([cluster["size"] for cluster in model.clusters_], np.bincount(model.labels_).tolist())
        for number, cluster in enumerate(model.clusters_):
            self.assertEqual({number}, {*model.labels_[[row["row"] for row in cluster["exemplars"]]].tolist()})
        np.testing.assert_allclose(model.probabilities_, model.responsibilities_.max(1), rtol=1e-6)
        # Columns of an array have no names.
        self.assertEqual(model.names_, {label: f"cluster {label}" for label in range(3)})

    def test_outliers_have_high_scores(self) -> None:
        model = self.model
        is_outlier = model.outlier_scores_ > 0.9
        self.assertTrue(0.05 < is_outlier.mean() < 0.15)

    def test_noise_is_in_no_cluster(self) -> None:
        rng = np.random.default_rng(5)
        blobs = [rng.normal(size=(200, 2)) + centre for centre in ((0, 0), (14, 0), (0, 14))]
        rows = np.concatenate([*blobs, rng.uniform(-8, 22, (200, 2))])
        model = DPMesh(noise=True, seed=1).fit(rows)
        noise = model.labels_ == -1
        self.assertEqual(model.result_["noise"], noise.sum())
        self.assertEqual(model.n_clusters_, 3)
        self.assertTrue(noise[600:].mean() > 0.8 and noise[:600].mean() < 0.05)
        np.testing.assert_array_equal(model.predict(rows), model.labels_)
        assert model.log_density_ is not None
        np.testing.assert_allclose(model.score_samples(rows), model.log_density_, atol=1e-5)
        np.testing.assert_array_equal(model.predict_components(rows), model.labels_)
        joined = model.cut(2)
        np.testing.assert_array_equal(joined[noise], -1)
        self.assertEqual({*joined}, {-1, 0, 1})

    def test_a_cluster_of_another_shape_has_several_components(self) -> None:
        rng = np.random.default_rng(3)
        angles = rng.uniform(0, 2 * np.pi, 1500)
        ring = 10 * np.c_[np.cos(angles), np.sin(angles)] + rng.normal(size=(1500, 2)) * 0.5
        rows = np.concatenate([ring, rng.normal(size=(400, 2))])
        model = DPMesh(components=True, workers=1, draw_report=False, seed=1).fit(rows)
        self.assertEqual(model.n_clusters_, 2)
        parts = {*zip(model.labels_.tolist(), model.components_.tolist(), strict=True)}
        self.assertGreater(len(parts), 4)
        self.assertEqual([component for _, component in sorted(parts)], [*range(len(parts))])
        found = model.predict_components(rows)
        np.testing.assert_array_equal(found, model.components_)
        self.assertEqual(found.dtype, np.int32)

    def test_rows_in_no_cluster_have_low_densities(self) -> None:
        model = self.model
        assert model.log_density_ is not None
        np.testing.assert_allclose(model.score_samples(X), model.log_density_, atol=1e-5)
        far = model.score_samples(np.concatenate([X[:1], X[:1] + 1000]))
        self.assertLess(far[1], far[0] - 100)

    def test_clusters_can_be_joined(self) -> None:
        joined = self.model.cut(2)
        self.assertEqual(len({*zip(joined.tolist(), self.model.labels_.tolist(), strict=True)}), 3)
        self.assertEqual({*joined.tolist()}, {0, 1})
        with self.assertRaisesRegex(ValueError, r'^n_clusters=7: the estimator has K = 3.*with likelihood="graph", clusters=7, as'):
            self.model.cut(7)
        names = self.model.cut_names(2)
        self.assertEqual(names, {0: "cluster 0", 1: "cluster 1"})
        found = _command.run_command(["cut", f"--run={self.model.run_directory_}", "--clusters=2", "--json"])
        self.assertEqual([cluster.get("name") for cluster in found["clusters"]], [None, None])
        np.testing.assert_array_equal(self.model.predict(X, clusters=2), joined)
        self.assertEqual(self.model.predict_proba(X[:5], clusters=2).shape, (5, 2))
        with self.assertRaisesRegex(ValueError, "^clusters=7: the estimator has K = 3"):
            self.model.predict(X, clusters=7)

    def test_predict_gives_the_labels_of_the_training_rows(self) -> None:
        np.testing.assert_array_equal(self.model.predict(X), self.model.labels_)

    def test_predict_proba_is_of_rows_and_clusters(self) -> None:
        shares = self.model.predict_proba(X[:7].tolist())
        self.assertEqual(shares.shape, (7, 3))
        np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)
        np.testing.assert_array_equal(shares.argmax(1), self.model.labels_[:7])
        np.testing.assert_allclose(shares, self.model.responsibilities_[:7], atol=1e-5)

    def test_a_pickle_and_a_copy_have_the_run(self) -> None:
        saved = pickle.dumps(self.model)
        for other in (pickle.loads(saved), copy.deepcopy(self.model)):
            self.assertNotEqual(other.run_directory_, self.model.run_directory_)
            np.testing.assert_array_equal(other.predict(X), self.model.labels_)
            np.testing.assert_array_equal(other.cut(2), self.model.cut(2))
            np.testing.assert_array_equal(other.outlier_scores_, self.model.outlier_scores_)
            self.assertEqual(other.clusters_, self.model.clusters_)
            with tempfile.TemporaryDirectory() as folder:
                other.save(Path(folder) / "saved")
                loaded = DPMesh.load(Path(folder) / "saved")
            self.assertEqual(loaded.clusters_, self.model.clusters_)
            new = X[::2] + np.float32(0.01)
            expected = other.predict(new)
            np.testing.assert_array_equal(other.update(new).labels_, expected)

    def test_the_temporary_run_goes_with_the_estimator(self) -> None:
        other = copy.deepcopy(self.model)
        run = Path(other.run_directory_)
        self.assertTrue(run.exists())
        del other
        gc.collect()
        self.assertFalse(run.parent.exists())

    def test_the_report_is_drawn_on_demand(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            page = self.model.report(Path(folder) / "page.html")
            self.assertRegex(page.read_text("utf-8"), "<html[^$]*<title>DPMesh")
            said = page.read_text("utf-8")
            self.assertNotIn(tempfile.gettempdir(), said)
            self.assertNotIn("<dt>results</dt>", said)
            self.assertTrue(page._repr_html_().startswith('<iframe sandbox="allow-scripts allow-downloads" srcdoc='))
            self.assertEqual(self.model.plot()._repr_png_()[:4], b"\x89PNG")
            with self.assertRaisesRegex(ValueError, "^there is no picture maps, but clusters, "):
                self.model.plot("maps")

    def test_a_saved_run_is_loaded_again(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.model.save(Path(folder) / "saved")
            with self.assertRaisesRegex(ValueError, "saved already exists"):
                self.model.save(Path(folder) / "saved")
            loaded = DPMesh.load(Path(folder) / "saved")
            np.testing.assert_array_equal(loaded.responsibilities_, self.model.responsibilities_)
            np.testing.assert_array_equal(loaded.predict(X), self.model.labels_)
            np.testing.assert_array_equal(loaded.outlier_scores_, self.model.outlier_scores_)

    def test_clusters_are_scored_by_true_classes(self) -> None:
        self.assertEqual(self.model.score(X, TRUTH), 1)
        self.assertLess(self.model.score(X, np.array(["a", "b"] * 120, dtype=object)), 0.1)

    def test_other_columns_are_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "X has 2 features, but DPMesh is expecting 3 features"):
            self.model.predict(X[:, :2])


class Forms(unittest.TestCase):
    """The same rows in another form have the same clusters, without a copy where there is a file."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.file = self.folder / "rows.npy"
        np.save(self.file, X)

    def test_a_mapped_file_is_read_where_it_lies(self) -> None:
        mapped = np.load(self.file, mmap_mode="r")
        self.assertEqual(open_input(mapped, self.folder, {}).path, str(self.file))
        self.assertEqual(open_input(self.file, self.folder, {}).path, str(self.file))
        part = open_input(mapped[:10], self.folder, {})
        self.assertEqual(part.path, str(self.folder / "X.npy"))
        np.testing.assert_array_equal(np.load(part.path), X[:10])
        changed = np.load(self.file, mmap_mode="c")
        changed[0] = 1
        self.assertEqual(open_input(changed, self.folder, {}).path, str(self.folder / "X.npy"))

    def test_a_mapped_file_that_was_replaced_is_not_read(self) -> None:
        mapped = np.load(self.file, mmap_mode="r")
        np.save(self.folder / "other.npy", X[::-1])
        os.replace(self.folder / "other.npy", self.file)
        written = open_input(mapped, self.folder, {})
        self.assertEqual(written.path, str(self.folder / "X.npy"))
        np.testing.assert_array_equal(np.load(written.path), X)

    def test_masked_values_are_missing(self) -> None:
        mask = np.zeros(X.shape, bool)
        for rows in (X, np.arange(6).reshape(3, 2)):
            written = open_input(np.ma.masked_array(rows), self.folder, {})
            np.testing.assert_array_equal(np.load(written.path), rows)
        mask[5, 1] = True
        with self.assertRaisesRegex(ValueError, "^X: 1 of 240 rows have NaN .* row 5, column 1 "):
            DPMesh(**QUICK).fit(np.ma.masked_array(X, mask))

    def test_arrays_and_tensors_become_files(self) -> None:
        for rows in (X, X.tolist(), np.asfortranarray(X), X[::-1][::-1], X.astype(object), Tensor(X)):
            written = open_input(rows, self.folder, {})
            np.testing.assert_array_equal(np.load(written.path), X)

    def test_a_path_can_be_fitted(self) -> None:
        by_path = DPMesh(**QUICK).fit(self.file)
        by_array = DPMesh(**QUICK).fit(X)
        np.testing.assert_array_equal(by_path.labels_, by_array.labels_)
        np.testing.assert_array_equal(by_path.cluster_centers_, by_array.cluster_centers_)

    def test_an_array_in_another_order_is_warned_about(self) -> None:
        scaled = X * [1, 100, 10000]
        model = DPMesh(**QUICK).fit(scaled)
        with self.assertWarnsRegex(UserWarning, r"^X looks as if .* \(column 1 like column 2, column 2 like column 1\)"):
            model.predict(scaled[:, [1, 0, 2]])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.predict(scaled)

    def test_a_table_can_be_fitted_and_its_run_kept(self) -> None:
        table = self.folder / "rows.csv"
        np.savetxt(table, X, delimiter=",", header="a,b,c", comments="", fmt="%.9g")
        kept = self.folder / "run"
        model = DPMesh(**QUICK, out=str(kept), labels=TRUTH).fit(table)
        self.assertEqual(model.run_directory_, str(kept))
        self.assertEqual(model.result_["acc"], 1)
        self.assertEqual({*model.names_}, {0, 1, 2})
        # Each cluster is high in one column.
        self.assertIn("high a", model.names_[model.labels_[X[:, 0].argmax()]])
        loaded = DPMesh.load(kept)
        np.testing.assert_array_equal(loaded.predict(table), model.labels_)
        self.assertEqual(loaded.result_, model.result_)
        with self.assertRaisesRegex(ValueError, "is not a run directory"):
            DPMesh.load(self.folder)
        with self.assertRaisesRegex(AttributeError, "clusters_ has"):
            model.cluster_centers_
        np.testing.assert_array_equal(model.predict(X), model.labels_)
        with self.assertRaisesRegex(ValueError, "overwrite it with force=True$"):
            model.fit(table)
        self.assertEqual(model.set_params(force=True, labels=None).fit(table).n_clusters_, 3)


class Loaded(unittest.TestCase):
    """An estimator of a run has the parameters of the one that was fitted."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def table(self) -> Path:
        path = self.folder / "rows.csv"
        numbers = [";".join(f"{value + 9:.4f}".replace(".", ",") for value in row) for row in X[:120]]
        lines = [f"r{i};word{TRUTH[i]} other{i % 7};{'xyz'[i % 3]};{row};{i}" for i, row in enumerate(numbers)]
        path.write_text("\n".join(["id;t;k;a;b;c;d", *lines, ""]))
        return path

    def images(self) -> Path:
        folder = self.folder / "images"
        folder.mkdir()
        for i in range(60):
            (folder / f"{i:02}.png").write_bytes(png(np.full((6, 6), 60 * TRUTH[i] + i, np.uint8)))
        return folder

    def texts(self) -> str:
        path = self.folder / "texts.txt"
        path.write_text("".join(f"word{label}\n" for label in TRUTH[:120]))
        return str(path)

    def test_all_parameters_of_the_result_come_back(self) -> None:
        of_table = {
            **{"columns": ["a", "b", "c", "k", "d"], "drop": ["d"], "id": "id", "text": "t", "impute": "mean"},
            **{"encoding": "utf-8", "sep": ";", "decimal": ",", "categorical": ["k"], "logarithm": ["c"]},
            **{"min_df": 2, "bm25_weighting": True, "reduce_frequent_words": True, "input_transform": "standard"},
            **{"sample": 500, "soft": True, "components": True, "labels_parquet": True, "seed": 2**60 + 1, "shards": 2},
            **{"likelihood": "gaussian", "alpha": 5.5, "covariance": "diag", "prior_scale_choice": "isotropic"},
            **{"prior_scale": 0.01, "coarsening": 100, "init_k": 2, "hidden": [8, 4], "lr": 0.02, "sub_lr": 0.03},
            **{"batch_size": 16, "local_steps": 3, "schedule": "paper", "max_epochs": 2, "split_merge_every": 1},
            **{"freeze": 1, "early_stop": False, "shapes": "auto"},
        }
        of_images = {
            **{"image_size": "5x4", "skip_bad": True, "encoder": "autoencoder", "encoder_hidden": [8, 6], "latent": 2},
            **{"encoder_epochs": 1, "encoder_lr": 0.01, "encoder_batch": 8, "encoder_steps": 4, "alternations": 1},
            **{"max_epochs": 2, "resolution": 1.5, "likelihood": "graph", "seed": 7},
        }
        of_array = {"likelihood": "graph", "clusters": 3, "keep_copies": True, "replicates": 2, "max_epochs": 2}
        fits = [(of_table, self.table()), (of_images, self.images()), ({**of_array, "texts": self.texts()}, X[:120])]
        fits += [({"noise": True, "max_epochs": 2}, X[:120])]
        self.assertEqual({*RESULT_OPTIONS} - {"labels"}, {name for given, _ in fits for name in given})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for i, (given, rows) in enumerate(fits):
                out = str(self.folder / f"run{i}")
                DPMesh(workers=1, draw_report=False, out=out, **given).fit(rows)
                found = DPMesh.load(out).get_params()
                # True is no number here, nor is "7".
                kinds = {name: (type(found[name]), found[name]) for name in given}
                self.assertEqual(kinds, {name: (type(value), value) for name, value in given.items()})

    def test_true_classes_come_back_where_they_have_a_file(self) -> None:
        run, file = self.folder / "run", self.folder / "labels.npy"
        np.save(file, TRUTH)
        for given, expected in ((TRUTH, None), (str(file), str(file))):
            model = DPMesh(**QUICK, out=str(run), force=True, labels=given).fit(X)
            self.assertIn("acc", model.result_)
            self.assertEqual(DPMesh.load(run).labels, expected)


def png(grey: np.ndarray) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = grey.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    lines = b"".join(b"\0" + line.tobytes() for line in grey)
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


class Foreign(unittest.TestCase):
    """The directory of a run may come from somebody else."""

    whole: Path

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.whole = Path(folder.name) / "whole"
        DPMesh(**{**QUICK, "draw_report": True}, out=str(cls.whole)).fit(X)

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.run_ = Path(folder.name) / "run"
        shutil.copytree(self.whole, self.run_)
        self.outside = Path(folder.name) / "outside"
        self.outside.write_text("of somebody")

    def replaced(self, name: str, make: Callable[[Path], object]) -> None:
        (self.run_ / name).unlink()
        make(self.run_ / name)

    def test_links_out_of_it_are_not_followed(self) -> None:
        model = DPMesh.load(self.run_)
        for name in ("report/report.html", "model/more"):
            (self.run_ / name).unlink(missing_ok=True)
            (self.run_ / name).symlink_to(self.outside)
        for use in (model.report, lambda: pickle.dumps(model), lambda: model.save(self.run_ / ".." / "saved")):
            with self.assertRaisesRegex(ValueError, "is no regular file in the run directory"):
                use()
        self.assertFalse((self.run_ / ".." / "saved").exists())
        self.replaced("labels.npy", lambda path: path.symlink_to(self.outside))
        with self.assertRaisesRegex(ValueError, "labels.npy is no regular file"):
            DPMesh.load(self.run_)

    def test_nothing_is_written_through_links(self) -> None:
        page = self.run_ / "report" / "report.html"
        self.outside.write_bytes(page.read_bytes())
        self.assertIn("/X.npy", self.outside.read_text("utf-8"))
        self.replaced("report/report.html", lambda path: path.hardlink_to(self.outside))
        self.assertNotIn("/X.npy", DPMesh.load(self.run_).report().read_text("utf-8"))
        self.assertIn("/X.npy", self.outside.read_text("utf-8"))

    def test_folders_that_are_links_are_refused(self) -> None:
        model = DPMesh.load(self.run_)
        elsewhere = self.run_ / ".." / "elsewhere"
        (self.run_ / "report").rename(elsewhere)
        (self.run_ / "report").symlink_to(elsewhere)
        before = (elsewhere / "report.html").read_bytes()
        with self.assertRaisesRegex(ValueError, "is no regular file in the run directory"):
            model.report()
        self.assertEqual((elsewhere / "report.html").read_bytes(), before)
        (elsewhere / "report.html").unlink()
        with self.assertRaisesRegex(ValueError, "report"):
            model.report()

    @unittest.skipUnless(hasattr(os, "mkfifo"), "there are no pipes")
    def test_pipes_are_not_waited_for(self) -> None:
        self.replaced("labels.npy", os.mkfifo)
        with self.assertRaisesRegex(ValueError, "labels.npy is no regular file"):
            DPMesh.load(self.run_)

    def test_what_a_killed_update_in_place_has_left_is_found(self) -> None:
        # Of a process that is no more.
        self.run_.rename(f"{self.run_}.{2**22 + 1}-1.0123abcd.tmp")
        labels = DPMesh.load(self.run_).labels_
        np.testing.assert_array_equal(labels, np.load(self.run_ / "labels.npy"))

    def test_another_run_in_its_place_is_noticed(self) -> None:
        model = DPMesh.load(self.run_)
        # Names are not what makes it another one.
        run_command(["rename", str(self.run_), "0", "first"])
        self.assertEqual(len(model.predict(X)), len(X))
        changed = json.loads((self.run_ / "run.json").read_text("utf-8"))
        (self.run_ / "run.json").write_text(json.dumps({**changed, "id": "01234567"}), "utf-8")
        for read in (
            lambda: model.predict(X),
            lambda: model.outlier_scores_,
            lambda: model.cut(1),
            lambda: model.report(),
            lambda: model.save(self.run_.with_name("saved")),
            lambda: model.update(X),
        ):
            with self.assertRaisesRegex(ValueError, r"is not the run any more .*; DPMesh\.load\('.*run'\) makes"):
                read()
        self.assertEqual(len(DPMesh.load(self.run_).predict(X)), len(X))

    def test_damage_is_found(self) -> None:
        labels = np.load(self.run_ / "labels.npy")
        np.save(self.run_ / "labels.npy", labels[::-1])
        with self.assertRaisesRegex(ValueError, "labels.npy is damaged .*SHA-256"):
            DPMesh.load(self.run_)

    def test_lost_files_are_not_taken_for_those_that_a_run_has_not(self) -> None:
        text = (self.run_ / "run.json").read_text("utf-8")
        for name in ("kept-rows.npy", "copies.npy", "outliers.npy", "lineage.json", "map.npy"):
            stored = json.loads(text)
            stored["files"][name] = "0" * 64
            (self.run_ / "run.json").write_text(json.dumps(stored), "utf-8")
            (self.run_ / name).unlink(missing_ok=True)
            with self.assertRaisesRegex(ValueError, rf"run/{name} cannot be read \(No such .*: restore it from a copy"):
                DPMesh.load(self.run_)
            (self.run_ / "run.json").write_text(text, "utf-8")
            shutil.copyfile(self.whole / "map.npy", self.run_ / "map.npy")

    def test_links_in_a_circle_are_named(self) -> None:
        self.replaced("labels.npy", lambda path: path.symlink_to(path.name))
        with self.assertRaisesRegex(ValueError, r"run/labels.npy cannot be read \(.*: restore it from a copy"):
            DPMesh.load(self.run_)

    def test_what_is_missing_is_named(self) -> None:
        text = (self.run_ / "run.json").read_text("utf-8")

        def without(*keys: str) -> str:
            changed = json.loads(text)
            of = changed
            for key in keys[:-1]:
                of = of[key]
            del of[keys[-1]]
            return json.dumps(changed)

        paths = ("result",), ("config",), ("data",), ("result", "k"), ("config", "data"), ("data", "dim")
        for content, why in [
            *((without(*path), f"it has no {'.'.join(path)}") for path in paths),
            ("[]", "it has no result"),
            (text[:500], "it is no JSON"),
            ("", "it is no JSON"),
        ]:
            (self.run_ / "run.json").write_text(content, "utf-8")
            with self.assertRaises(ValueError) as raised:
                DPMesh.load(self.run_)
            expected = f"{self.run_.resolve() / 'run.json'} is damaged ({why}): restore it from a copy of the run"
            self.assertEqual((type(raised.exception), str(raised.exception)), (ValueError, expected))
        stored = json.loads(text)
        del stored["files"]
        (self.run_ / "run.json").write_text(json.dumps(stored), "utf-8")
        for name, content, why in [
            ("clusters.json", b"{}", "it has no clusters"),
            ("clusters.json", b"\xff", "it is no JSON"),
            ("labels.npy", b"\x93NUMPY\x01\x00\x76", "it is no array of numpy"),
        ]:
            (self.run_ / name).write_bytes(content)
            with self.assertRaisesRegex(ValueError, rf"run/{name} is damaged \({why}\): restore"):
                DPMesh.load(self.run_)
            shutil.copyfile(self.whole / name, self.run_ / name)


class Mistakes(unittest.TestCase):
    def assert_refused(self, pattern: str, rows: object, **options: object) -> None:
        with self.assertRaisesRegex(ValueError, pattern) as raised:
            DPMesh(**QUICK, **options).fit(rows)
        self.assertNotIn("dpmesh-", str(raised.exception))

    def test_rows_are_named(self) -> None:
        rows = X.copy()
        rows[5, 1] = np.nan
        self.assert_refused("^X: 1 of 240 rows have NaN .* row 5, column 1 .*impute=\"median\" does so", rows)
        self.assert_refused("^no-such.npy ", "no-such.npy")
        self.assert_refused("1 sample", X[:1])
        self.assert_refused("Reshape your data", X[0])
        self.assert_refused("0 feature", X[:, :0])
        self.assert_refused("Complex data", X * 1j)

    def test_options_have_the_names_of_parameters(self) -> None:
        self.assert_refused("^alpha -1 must be above 0$", X, alpha=-1)
        self.assert_refused("^input_transform log must be ", X, input_transform="log")
        self.assert_refused("^heartbeat_timeout -1 must be ", X, heartbeat_timeout=-1)
        self.assert_refused("^out: s3://b/run is an address", X, out="s3://b/run")
        self.assert_refused("^labels has 2 labels", X, labels=[0, 1])

    def test_without_a_fit(self) -> None:
        for use in (lambda model: model.predict(X), lambda model: model.report()):
            with self.assertRaisesRegex(Exception, "not fitted yet"):
                use(DPMesh())

    def test_parameters(self) -> None:
        model = DPMesh(alpha=3, hidden=(20, 20))
        self.assertEqual(repr(model), "DPMesh(alpha=3, hidden=(20, 20))")
        self.assertEqual(DPMesh(**model.get_params()).get_params(), model.get_params())

    def test_other_names_lead_to_parameters(self) -> None:
        for name, says in {
            "n_clusters": "; did you mean clusters.$",
            "random_state": "lists all$",
            "transform": "; did you mean input_transform.$",
            "prior_scal": "; did you mean prior_scale.$",
            "zzzz": "lists all$",
        }.items():
            pattern = f"^Invalid parameter '{name}' of DPMesh.*{says}"
            with self.subTest(name):
                with self.assertRaisesRegex(TypeError, pattern):
                    DPMesh(**{name: 1})
                with self.assertRaisesRegex(ValueError, pattern):
                    DPMesh().set_params(**{name: 1})

    def test_notes_are_warnings(self) -> None:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model = DPMesh(**{**QUICK, "max_epochs": 1}).fit(X)
        self.assertRegex(str(said[-1].message), r"^training ended at max_epochs=1 .*; fit again with max_epochs=\d+$")
        self.assertEqual(len(said), len(model.result_["notes"]))
        page = model.report().read_text("utf-8")
        self.assertIn("training ended at max_epochs=1 ", page)
        self.assertNotIn("--max-epochs", page)

    def test_an_interrupted_bar_says_so(self) -> None:
        shown: list[tuple[float, str]] = []
        with self.assertRaises(KeyboardInterrupt), _bar(500, lambda share, text: shown.append((share, text))) as on_event:
            on_event({"type": "epoch", "epoch": 250, "k": 3, "loss": None})
            raise KeyboardInterrupt
        self.assertEqual(shown[-1], (0.4995, "interrupted: epoch 250  K 3"))

    def test_the_command_of_a_variable(self) -> None:
        def found(given: object) -> list[str]:
            with mock.patch.dict("os.environ", DPMESH=str(given), HOME=folder):
                return _command.find_command()

        with tempfile.TemporaryDirectory() as folder:
            checkout = Path(folder) / "checkout"
            main = checkout / "dist" / "cli" / "main.js"
            main.parent.mkdir(parents=True)
            with self.assertRaisesRegex(RuntimeError, "checkout, a folder without dist/cli/main.js: run `npm ci` there"):
                found(checkout)
            with self.assertRaisesRegex(RuntimeError, "DPMESH is /no/such/dpmesh, which does not exist"):
                found("/no/such/dpmesh")
            main.touch()
            for given in (main, checkout, "~/checkout"):
                self.assertEqual(found(given)[1:], [str(main)])
            program = Path(folder) / "dpmesh"
            program.touch()
            with self.assertRaisesRegex(RuntimeError, "is no program that can be run"):
                found(program)
            program.chmod(0o755)
            self.assertEqual(found(program), [str(program)])

    def test_the_command_of_npm(self) -> None:
        npm = shutil.which("npm")
        assert npm
        with tempfile.TemporaryDirectory() as folder:
            # npm as it is, with an empty cache and nothing installed.
            path = os.pathsep.join((str(Path(npm).parent), "/usr/bin", "/bin"))
            empty = {"DPMESH": "", "PATH": path, "npm_config_cache": f"{folder}/cache", "npm_config_prefix": folder}
            nowhere = mock.patch("pathlib.Path.cwd", return_value=Path(folder))
            with mock.patch.dict("os.environ", empty), nowhere, NOT_INSTALLED:
                for _ in range(2):
                    with self.assertRaisesRegex(RuntimeError, r'^the command dpmesh was not found.*environ\["DPMESH"\]'):
                        DPMesh().fit(X)
                installed = Path(folder) / "bin" / "dpmesh"
                installed.parent.mkdir()
                installed.touch(0o755)
                self.assertEqual(_command.find_command(), [str(installed)])

    def test_the_command_of_a_checkout(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            checkouts = [Path(folder, name) for name in ("installed from", "here")]
            for checkout in checkouts:
                (checkout / "dist" / "cli").mkdir(parents=True)
                (checkout / "dist" / "cli" / "main.js").touch()
                (checkout / "clients" / "python").mkdir(parents=True)
                (checkout / "package.json").write_text('{"name": "dpmesh"}')
            first, second = (str(checkout / "dist" / "cli" / "main.js") for checkout in checkouts)
            on_path = Path(folder, "bin", "dpmesh")
            on_path.parent.mkdir()
            on_path.touch(0o755)
            path = os.pathsep.join((str(on_path.parent), str(Path(shutil.which("node") or "").parent)))
            note = mock.Mock()
            note.read_text.return_value = json.dumps({"url": (checkouts[0] / "clients" / "python").as_uri(), "dir_info": {}})
            with (
                mock.patch.dict("os.environ", DPMESH="", PATH=path),
                mock.patch("importlib.metadata.distribution", return_value=note),
                mock.patch("pathlib.Path.cwd", return_value=checkouts[1] / "clients" / "python"),
            ):
                self.assertEqual(_command.find_command()[1:], [first])
                checkouts[0].chmod(0o777)
                self.assertEqual(_command.find_command()[1:], [second])
                (checkouts[1] / "package.json").write_text('{"name": "other"}')
                self.assertEqual(_command.find_command(), [str(on_path)])
                note.read_text.return_value = None
                self.assertEqual(_command.find_command(), [str(on_path)])

    @unittest.skipUnless(hasattr(os, "getuid"), "there are no owners")
    def test_a_command_that_others_can_replace_is_not_run(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            parent = Path(folder) / "parent"
            project = parent / "project"
            program = parent / "package" / "main.js"
            command = parent / "node_modules" / ".bin" / "dpmesh"
            for path in (project, program.parent, command.parent):
                path.mkdir(parents=True)
            program.touch(0o755)
            command.symlink_to("../../package/main.js")

            def is_found() -> bool:
                try:
                    return _command.find_command() == [str(command)]
                except RuntimeError:
                    return False

            with (
                mock.patch.dict("os.environ", DPMESH="", PATH="/no-such-folder"),
                mock.patch("pathlib.Path.cwd", return_value=project),
                NOT_INSTALLED,
            ):
                self.assertTrue(is_found())
                for path in (parent, command.parent.parent, command.parent, program.parent, program):
                    for mode in (0o757, 0o777):
                        path.chmod(mode)
                        self.assertFalse(is_found(), path)
                    path.chmod(0o755)
                # As /tmp is: others can add something, but not replace this.
                parent.chmod(0o1777)
                self.assertTrue(is_found())
                if os.getuid() == 0:
                    for path in (parent, command.parent.parent, command.parent, command, program.parent, program):
                        os.chown(path, 12345, -1, follow_symlinks=False)
                        self.assertFalse(is_found(), path)
                        os.chown(path, 0, -1, follow_symlinks=False)
                self.assertTrue(is_found())

    def test_no_command(self) -> None:
        with mock.patch.dict("os.environ", DPMESH="", PATH="/no-such-folder"), NOT_INSTALLED:
            with mock.patch("pathlib.Path.cwd", return_value=Path("/")):
                with self.assertRaisesRegex(RuntimeError, "run `npm ci` in a checkout of dpmesh"):
                    _command.find_command()


if __name__ == "__main__":
    unittest.main()
