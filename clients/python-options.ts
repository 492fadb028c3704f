// Generates the parameters of the Python client from the options of a run: npm run python:options
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { kebabCase } from '../base/text.ts';
import { HABITS } from '../cli/suggestions.ts';
import { FORMAT } from '../run/finished-run.ts';
import { type Option, shownDefault, withNames } from '../run/option.ts';
import { OPTIONS, options, UPDATE_OPTIONS } from '../run/options.ts';
import { runOptions } from '../run/session-options.ts';

interface Parameter {
  name: string;
  /** What the product calls it. */
  key: string;
  type: string;
  description: string;
  default: string;
}

/**
 * Options that are no parameters: `data` is the argument of `fit`, `report` is a method (`draw_report` takes its place), a process
 * must not outlive `fit`, and attributes are read from whole files.
 */
const LEFT_OUT = new Set(['data', 'report', 'linger', 'labelsOut']);

/** Options of an update that are no parameters of `update`: the estimator has one run, and knows its columns. */
const LEFT_OUT_OF_UPDATE = new Set(['text', 'refitTransform', 'relabel', 'inPlace']);

/** Parameters of the client alone. */
const own = (name: string, type: string, value: string, description: string): Parameter => {
  return { name, key: '', type, description, default: value };
};
const OWN = [
  own('draw_report', 'bool', 'True', 'draw the report at the end of fit, for the method report'),
  own('verbose', 'bool | None', 'None', 'show progress; None: in a notebook and on a terminal'),
];

/** An attribute `transform` would make the estimator a transformer to scikit-learn. */
const RENAMED: Record<string, string> = { transform: 'input_transform' };
const snakeCase = (name: string) => RENAMED[name] ?? kebabCase(name).replaceAll('-', '_');
/** Flags in a text as parameters. */
const withParameters = (text: string) => withNames(text, snakeCase, (flag) => `${snakeCase(flag)}=False`);

/** Defaults of the client alone. */
const DEFAULTS: Record<string, string> = {
  out: 'a temporary folder',
  http: 'off; True opens it at the usual address',
  httpToken: 'DPMESH_HTTP_TOKEN, or none',
};

function parameter(name: string, key: string, option: Option & { inPrograms?: string }): Parameter {
  const { help, type, limit, types, paper, fast, inPrograms } = option;
  const onPaper = paper === undefined ? '' : ` (schedule paper: ${paper})`;
  const shown = DEFAULTS[name] ?? inPrograms ?? shownDefault(option) ?? fast;
  return {
    name: snakeCase(name),
    key,
    type: `${name === 'labels' ? 'ArrayLike' : types.py} | None`,
    description: withParameters(
      `${help}${type === 'number' ? `; ${limit}` : ''}${shown === undefined ? '' : `. Default: ${shown}${onPaper}`}`,
    ),
    default: 'None',
  };
}

const resultParameters = options
  .filter(([name]) => !LEFT_OUT.has(name))
  .map(([name, option]) => parameter(name, name, option));
const runParameters = runOptions
  .filter(([name, { isForTerminals }]) => !isForTerminals && !LEFT_OUT.has(name))
  .map(([name, option]) => parameter(name, kebabCase(name), option));

const updateParameters = Object.entries<Option>(UPDATE_OPTIONS)
  .filter(([name]) => !LEFT_OUT_OF_UPDATE.has(name))
  .map(([name, option]) => parameter(name, kebabCase(name), option));

/** A paragraph of lines that are no longer than this. */
function wrapped(text: string, indent: string, width = 110): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line && indent.length + line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  return lines.map((line) => indent + line).join('\n');
}

const parameters = [...resultParameters, ...runParameters, ...OWN];
const documented = ({ name, type, description }: Parameter) =>
  `        ${name} : ${type.replace(/ \| None$/, '').replace(/^Literal\[(.*)\]$/, '{$1}')}
${wrapped(`${description}.`, '            ')}`;
const { fast, paper } = OPTIONS.maxEpochs;

const NAMES = new Set(parameters.map(({ name }) => name));
/** A value that follows a flag, as a literal of Python. */
const pythonValue = (value: string) => (/^[\d.]+$/.test(value) ? value : `"${value}"`);
const withAssignments = (text: string) =>
  withParameters(
    text
      .replace('dpmesh cut runs/x --clusters 7', 'cut(7)')
      .replaceAll('dpmesh cut', 'cut')
      .replace(', or --n-jobs -1 for all cores', '')
      .replace(/^use --force$/, 'use --force=True')
      .replace(
        /--([a-z][a-z-]*) ([\d.]+|all|full|diag|graph|pca:16|standard|normalize|autoencoder)\b/g,
        (_, flag, value) => `${snakeCase(flag)}=${pythonValue(value)}`,
      ),
  );

/** What takes the place of names that are no parameters here: those of the command line, and of other packages. */
const OTHER_NAMES: Record<string, string> = {
  ...Object.fromEntries(
    HABITS.filter(({ flag }) => NAMES.has(snakeCase(flag)))
      // Of a name that several have the first counts.
      .reverse()
      .flatMap(({ names, says }) =>
        names.map((name) => [name.replaceAll('-', '_'), withAssignments(says)] as const),
      ),
  ),
  ...Object.fromEntries(Object.entries(RENAMED).map(([name, own]) => [name, `use ${own}`])),
  n_jobs: 'use workers=2',
  report: 'use draw_report, which draws it in fit; report() shows it',
  device: 'use gpus="all", or backend for what computes',
  data: 'rows are the argument of fit',
  X: 'rows are the argument of fit',
};
const otherNames = Object.entries(OTHER_NAMES)
  .filter(([name]) => !NAMES.has(name))
  .sort(([a], [b]) => (a < b ? -1 : 1));

/** The module `dpmesh._other_names`. */
const otherNamesModule = () => `# Generated by \`npm run python:options\`.
"""What takes the place of names that are no parameters: those of the command line, and of other packages."""

OTHER_NAMES = {
${otherNames.map(([name, says]) => `    ${JSON.stringify(name)}: ${says.includes('"') ? `'${says}'` : JSON.stringify(says)},`).join('\n')}
}
`;

/** The module `dpmesh._options`. */
const optionsModule = () => `# Generated by \`npm run python:options\`.
"""The options of a run, as parameters of the estimator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import ArrayLike

from ._suggestions import names_checked

if TYPE_CHECKING:
    from typing_extensions import Self

#: Options that determine the result, together with the data: their names here and in a config file.
RESULT_OPTIONS = {
${resultParameters.map(({ name, key }) => `    "${name}": "${key}",`).join('\n')}
}
#: Options of how a run proceeds: their names here and their flags.
RUN_OPTIONS = {
${runParameters.map(({ name, key }) => `    "${name}": "--${key}",`).join('\n')}
}
#: The format of run directories, up to which they are read.
FORMAT = ${FORMAT}
#: The default of max_epochs, by schedule.
MOST_EPOCHS = {"fast": ${fast}, "paper": ${paper}}


class Options:
    """Holds the options of a run as attributes of the same names."""

    @names_checked
    def __init__(
        self,
        *,
${parameters.map(({ name, type, default: value }) => `        ${name}: ${type} = ${value},`).join('\n')}
    ) -> None:
        """All parameters are keywords. None, the default, is the default of dpmesh.

        Parameters
        ----------
${parameters.map(documented).join('\n')}
        """
${parameters.map(({ name }) => `        self.${name} = ${name}`).join('\n')}

    def update(
        self,
        X: Any,
        *,
${updateParameters.map(({ name, type, default: value }) => `        ${name}: ${type} = ${value},`).join('\n')}
    ) -> Self:
        """Takes the new rows \`X\` into the fitted run: clusters go on, and keep their labels; new ones get new labels.

        \`\`labels_\`\` and what else is said of rows are those of \`X\`. The run of an estimator with \`\`out\`\` stays, and the new one lies beside it, in \`\`out\`\`-2, -3
        and so on.

        Parameters
        ----------
        X : array, DataFrame, tensor, AnnData or path
            the new rows, with the columns of those of fit.
${updateParameters.map(documented).join('\n')}
        """
        return self._update(X, {${updateParameters.map(({ name, key }) => `"--${key}": ${name}`).join(', ')}})

    def _update(self, X: Any, options: dict[str, Any]) -> Self:
        raise NotImplementedError
`;

/** The modules and what they should be, by their paths. */
export const MODULES = new Map(
  Object.entries({ _options: optionsModule, _other_names: otherNamesModule }).map(([name, text]) => [
    fileURLToPath(new URL(`./python/src/dpmesh/${name}.py`, import.meta.url)),
    text,
  ]),
);

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const [path, text] of MODULES) writeFileSync(path, text());
