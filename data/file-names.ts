import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { attempted, realPath, statusOf } from '../base/files.ts';
import { type OnNotUtf8, readableNames } from '../base/names.ts';
import { UserError } from '../base/user-error.ts';

/** The formats of data by the names of files, and tables also by their first bytes. */

export type TableFormat = 'csv' | 'parquet' | 'arrow' | 'json lines';

/** How the formats are recognized: by the first bytes of a file, or text by the file's name. */
export const BINARY_TABLES: { format: TableFormat; magic: string; names: RegExp; called: string }[] = [
  { format: 'parquet', magic: 'PAR1', names: /\.(parquet|pq)$/i, called: 'Parquet' },
  { format: 'arrow', magic: 'ARROW1', names: /\.(feather|arrow|ipc)$/i, called: 'Arrow (Feather version 2)' },
];
const TEXT_TABLES: [RegExp, TableFormat][] = [
  [/\.(csv|tsv|txt)(\.(gz|zst|zstd))?$/i, 'csv'],
  [/\.(jsonl|ndjson|json)(\.(gz|zst|zstd))?$/i, 'json lines'],
];

/** The format of a table of text by its name; null for another one. */
export const textFormatOf = (path: string): TableFormat | null =>
  TEXT_TABLES.find(([name]) => name.test(path))?.[1] ?? null;

/** Is this the name of a table of text? */
export const isTextName = (path: string): boolean => textFormatOf(path) !== null;

/** Is this the name of a table? */
export const isTableName = (path: string): boolean =>
  BINARY_TABLES.some(({ names }) => names.test(path)) || isTextName(path);

/** Is this the name of a container of arrays? */
export const isContainerName = (path: string): boolean => /\.(npz|safetensors|h5ad|h5|hdf5)$/i.test(path);

/** Patterns of file names, such as `parts/*.csv`: which files they name. */

const IS_PATTERN = /[*?{[]/;
/** The most patterns that the alternatives in braces may stand for. */
const MOST_PATTERNS = 1000;

/** Does a path that leads nowhere look like a pattern of file names? */
export const isPattern = (path: string) => IS_PATTERN.test(path) && statusOf(path) === undefined;

/** The folder of a pattern: all of it before the first part with a wildcard. */
export function folderOf(pattern: string): string {
  const parts = pattern.split('/');
  const fixed = parts.findIndex((_, i) => isPattern(parts.slice(0, i + 1).join('/')));
  return parts.slice(0, fixed).join('/') || (pattern.startsWith('/') ? '/' : '.');
}

/**
 * The files that a pattern names, such as `parts/*.csv`, `{a,b}/[0-9]?.csv` or `**` for folders at any depth; sorted. `refuse`: as of
 * `readableNames`.
 */
export function filesLike(pattern: string, refuse?: OnNotUtf8): string[] {
  const found = alternatives(pattern).flatMap((one) =>
    below(one.startsWith('/') ? '/' : '', one.split('/').filter(Boolean), refuse),
  );
  return [...new Set(found)].filter((path) => statusOf(path)?.isFile()).sort();
}

/** A pattern for each way to choose from its braces. */
function alternatives(pattern: string): string[] {
  const chosen: string[] = [];
  const left = [pattern];
  for (let one = left.pop(); one !== undefined; one = left.pop()) {
    const [, before, choices, after] = /^(.*?)\{([^{}]*,[^{}]*)\}(.*)$/s.exec(one) ?? [];
    if (choices === undefined) chosen.push(one);
    else for (const choice of choices.split(',')) left.push(before + choice + after);
    if (chosen.length + left.length > MOST_PATTERNS)
      throw new UserError(
        `${pattern} stands for more than ${MOST_PATTERNS} patterns: name the folder, or use *`,
      );
  }
  return chosen;
}

function below(folder: string, [name, ...rest]: string[], refuse?: OnNotUtf8): string[] {
  if (name === undefined) return [folder];
  if (!statusOf(folder || '.')?.isDirectory()) return [];
  if (!isPattern(join(folder, name))) return below(join(folder, name), rest, refuse);
  const isDeep = name === '**';
  const all = attempted(folder, 'read', () => readdirSync(folder || '.'));
  const names = readableNames(folder, all, likeFile(name), refuse, isDeep || rest.length > 0);
  const found = names.map((own) => join(folder, own));
  if (!isDeep) return found.flatMap((path) => below(path, rest, refuse));
  const deeper = found.filter(isOwnFolder).flatMap((path) => below(path, [name, ...rest], refuse));
  return [...below(folder, rest.length ? rest : ['*'], refuse), ...deeper];
}

/** Is this one of the files of `data`: that file, or one in that folder or of that pattern? */
export function isFileOf(data: string, file: string): boolean {
  const real = realPath(file);
  if (isPattern(data)) return filesLike(data, () => {}).some((own) => realPath(own) === real);
  return real === realPath(data) || (existsSync(real) && dirname(real) === realPath(data));
}

/** No link, which may lead in circles. */
const isOwnFolder = (path: string) => attempted(path, 'read', () => lstatSync(path)).isDirectory();

/** Patterns of names, matched without going back more than to the last `*`: a regular expression could take years. */

/** What one character may be; null: any number of any characters. */
type Token = ((character: string) => boolean) | null;

/** A matcher of names in which each `*` stands for any text. */
export const likeName = (pattern: string): ((name: string) => boolean) =>
  matcher([...pattern].map((own) => (own === '*' ? null : (character) => character === own)));

/** A matcher of file names: `*`, `?`, `[a-z]`, `[!a-z]`. What is hidden, only if the pattern begins with a dot too. */
export function likeFile(pattern: string): (name: string) => boolean {
  const parts = pattern.match(/\[[!^]?\]?[^\]]*\]|./gsu) ?? [];
  const matches = matcher(parts.map(fileToken));
  return (name) => matches(name) && (!name.startsWith('.') || pattern.startsWith('.'));
}

function fileToken(part: string): Token {
  if (part === '*') return null;
  if (part === '?') return () => true;
  if (part.length < 3) return (character) => character === part;
  const [, not, set] = /^\[([!^]?)(.*)\]$/su.exec(part)!;
  const ranges = [...set.matchAll(/(.)-(.)|(.)/gsu)].map(([, from, to, one]) => [from ?? one, to ?? one]);
  return (character) => ranges.some(([from, to]) => character >= from && character <= to) !== (not !== '');
}

function matcher(tokens: readonly Token[]): (text: string) => boolean {
  return (text) => {
    const characters = [...text];
    let [at, star, from] = [0, -1, 0];
    for (let i = 0; i < characters.length; ) {
      const token = tokens[at];
      if (token === null) [star, from] = [at++, i];
      else if (token?.(characters[i])) [at, i] = [at + 1, i + 1];
      else if (star < 0) return false;
      else [at, i] = [star + 1, ++from];
    }
    return tokens.slice(at).every((token) => token === null);
  };
}
