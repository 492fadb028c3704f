"""Messages of the command in the words of Python: all that its sources have."""

from __future__ import annotations

import itertools
import json
import re
import time
import unittest
from pathlib import Path

from dpmesh._messages import _ADVICE, _PARAMETERS, readable

SOURCES = Path(__file__).parents[3]
FOLDERS = ("base", "coordinator", "data", "library", "model", "proto", "relay", "report", "worker")
#: What may stand for `${...}`.
SAMPLES = ("7", "city", "a b", "/d/x.csv", "and")
#: Words that are values where they follow a flag.
WORDS = {
    "standard", "normalize", "full", "diag", "gaussian", "graph", "autoencoder", "wasm", "webgpu", "mean", "median", "drop", "auto"
}  # fmt: skip


#: A comment, a text without insertions, a regular expression, or the beginning of a template, in TypeScript.
TOKEN = re.compile(
    r"""//.*|/\*[\s\S]*?\*/|'(?P<text>(?:[^'\\\n]|\\.)*)'|"(?:[^"\\\n]|\\.)*"|(?<=[(,=:!&|?{};\[>\n])\s*/(?![*/])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/|[`{}]"""
)


def literals(source: str) -> list[str]:
    """The texts in a source that have a flag among other words, with a mark where something is put in."""
    found: list[str] = []

    def code(at: int) -> int:
        """Reads up to the brace that closes what begins there, or the end."""
        depth = 0
        while match := TOKEN.search(source, at):
            at = match.end()
            if match["text"] is not None:
                found.append(match["text"])
            elif match[0] == "`":
                at = template(at)
            elif match[0] == "{":
                depth += 1
            elif match[0] == "}":
                depth -= 1
                if depth < 0:
                    return at
        return len(source)

    def template(at: int) -> int:
        text = ""
        while source[at] != "`":
            if source.startswith("${", at):
                text += "\0"
                at = code(at + 2)
            else:
                step = 2 if source[at] == "\\" else 1
                text += source[at : at + step]
                at += step
        found.append(text)
        return at + 1

    code(0)
    return [text for text in found if " " in text and re.search(r"(?<![\w-])--[a-z]", text)]


def plain(message: str) -> list[str]:
    """The words of a message, whatever options are called in it and however values are given to them."""
    for flag, name in sorted(_PARAMETERS.items(), key=lambda item: -len(item[0])):
        message = re.sub(rf"--{flag}(?![\w-])", name, message)
    return re.sub(r"""[",'\[\]]""", "", message.replace("=", " ")).split()


class Messages(unittest.TestCase):
    def test_none_is_garbled(self) -> None:
        paths = [path for folder in FOLDERS for path in sorted((SOURCES / folder).rglob("*.ts"))]
        texts = {text for path in paths for text in literals(path.read_text("utf-8"))}
        self.assertGreater(len(texts), 150)
        for text, sample in itertools.product(sorted(texts), SAMPLES):
            message = text.replace("\0", sample)
            if "--no-" in message or any(re.search(pattern, message) for pattern, _ in _ADVICE):
                continue
            with self.subTest(message):
                self.assert_same(message, readable(message, Path("/no/such")))

    def assert_same(self, message: str, said: str) -> None:
        self.assertEqual(plain(said), plain(message), said)
        for flag in re.findall(r"(?<![\w-])--([a-z][a-z-]*[a-z])", said):
            self.assertNotIn(flag, _PARAMETERS, said)
        for value in re.findall(r'(?<=[a-z]=)("[^"]*"|\[[^\]]*\]|[^\s"]+?(?=[\s,;:)]|$))', said):
            if value.startswith("["):
                json.loads(value)
            elif not re.fullmatch(r'[\d.]+|"[\dx]+"|"pca:[\d.]+"', value) and not value.startswith("/"):
                self.assertIn(value.strip('"'), WORDS, said)

    def test_values_are_those_of_python(self) -> None:
        for message, says in {
            "x --likelihood graph --clusters 9, as": 'x likelihood="graph", clusters=9, as',
            "x --coarsening 0 --sample 0, so": "x coarsening=0, sample=0, so",
            "--categorical the kind of it makes 19 columns": 'categorical=["the kind of it"] makes 19 columns',
            "try --log a,b.c": 'try logarithm=["a", "b.c"]',
            "try --log auto": 'try logarithm="auto"',
            "clustered by logarithms: --log 1,2 (counted from 1)": 'clustered by logarithms: logarithm=["1", "2"] (counted from 1)',
            "leave that column out of --log, or remove the row": "leave that column out of logarithm, or remove the row",
            "keep with --id and --text": "keep with id and text",
            "--text: X has": "text: X has",
            "no longer count, update with --refit-transform and a short --half-life": "no longer count, fit anew with the new rows alone",
        }.items():
            with self.subTest(message):
                self.assertEqual(readable(message, Path("/no/such")), says)

    def test_a_name_of_any_length_is_looked_at_once(self) -> None:
        # An expression that begins anew at each of its characters takes half a minute for these.
        for part in ("a", "--a", "--categorical ", 'a="', "resume with --max-epochs 1 (resume cannot "):
            message = f"X has text in column 5 ({part * (60_000 // len(part))}), which"
            began = time.process_time()
            readable(message, Path("/no/such"))
            with self.subTest(part):
                self.assertLess(time.process_time() - began, 2)


if __name__ == "__main__":
    unittest.main()
