import type { TransformChoice } from '../data/transform-choice.ts';
import { isSeed, SEED_RANGE } from '../model/random.ts';

/** What values of options there are: numbers, words, lists and the like, each with its check and its type in programs. Which option has which, options.ts says. */

/** What a program may pass, as far as that is checked at once. */
export type Kind = 'boolean' | 'number' | 'bigint' | 'string' | 'output' | 'function' | 'signal' | 'any';

/** What options accept: the values themselves, in words, and as types of programs. */
export interface Domain<T> {
  /** The type of the flag's argument. */
  type: 'number' | 'string' | 'boolean';
  /** What the value of a program is, where that is not the type: several, or the path of what is written. `any`: `read` tells. */
  kind?: Kind | readonly Kind[];
  /** The values in words, to complete "must be …". */
  limit: string;
  choices?: readonly string[];
  /** The flag's argument is a list with commas between. */
  isList?: boolean;
  /** The flag may be given several times, and takes several words. */
  isArray?: boolean;
  /** Null is accepted too, and means that there is none. */
  isNullable?: boolean;
  /** What a program may pass, in TypeScript and in Python. */
  types: { ts: string; py: string };
  /** The value as a run has it; undefined where it is not accepted. */
  read(value: unknown): T | undefined;
}

/** What may stand for text or a number. Other values also have a text, or none, but mean neither. */
export type Word = string | number | bigint;
export const isWord = (value: unknown): value is Word =>
  ['string', 'number', 'bigint'].includes(typeof value);

function textual<T>(
  limit: string,
  types: Domain<T>['types'],
  read: (text: string) => T | undefined,
): Domain<T> {
  return {
    ...{ type: 'string', limit, types },
    read: (value) => (typeof value === 'string' ? read(value) : undefined),
  };
}

/** Text, for which a number may stand in a file or a program. */
function textOrNumber<T>(...[limit, types, read]: Parameters<typeof textual<T>>): Domain<T> {
  return {
    ...textual(limit, types, read),
    read: (value) => (isWord(value) ? read(String(value)) : undefined),
  };
}

/** `kind`: what a program may pass in its place. */
export const text = (kind?: Domain<string>['kind']): Domain<string> => ({
  ...textual('a string', { ts: 'string', py: 'str' }, (value) => value),
  kind,
});

/** The path of what is written. */
export const output = () => text('output');

/** The same; of a program also whether it is to be kept in memory. */
export const outputOrNot = (): Domain<string | boolean> => ({
  ...address(),
  kind: ['boolean', 'output'],
  limit: 'a string',
});

/** Rows, or a label for each: a path, or of a program also arrays, which are looked at where they are read. */
export const input = (): Domain<string> => ({ ...text('any'), read: (value) => value as string });

/** Several of them, each a word. */
export const texts = (): Domain<readonly string[]> => ({
  type: 'string',
  limit: 'strings',
  isArray: true,
  types: { ts: 'readonly string[]', py: 'Sequence[str]' },
  read: (value) => (Array.isArray(value) ? value.map(String) : undefined),
});

/** Text with elements that commas separate, which stays as it is. */
export const list = (): Domain<string> => ({ ...text(), isList: true });

export const yesOrNo = (): Domain<boolean> => ({
  type: 'boolean',
  limit: 'yes or no (or true, false)',
  types: { ts: 'boolean', py: 'bool' },
  read: (value) => (typeof value === 'boolean' ? value : undefined),
});

export function oneOf<const T extends readonly string[]>(...choices: T): Domain<T[number]> {
  const types = {
    ts: choices.map((choice) => `'${choice}'`).join(' | '),
    py: `Literal[${choices.map((choice) => `"${choice}"`).join(', ')}]`,
  };
  const find = (value: string): T[number] | undefined => choices.find((choice) => choice === value);
  return { ...textual(`one of ${choices.join(', ')}`, types, find), choices };
}

function number(limit: string, py: string, isIn: (value: number) => boolean): Domain<number> {
  return {
    ...{ type: 'number', limit, types: { ts: 'number', py } },
    read: (value) => (typeof value === 'number' && Number.isFinite(value) && isIn(value) ? value : undefined),
  };
}
/** Any number: whether it fits is seen elsewhere, as by what a run has. */
export const anyNumber = () => number('a number', 'float', () => true);
export const above = (least: number) => number(`above ${least}`, 'float', (n) => n > least);
export const atLeast = (least: number) => number(`at least ${least}`, 'float', (n) => n >= least);
export const between = (low: number, high: number) =>
  number(`above ${low} and below ${high}`, 'float', (n) => n > low && n < high);
export const integer = (least: number, most = Number.POSITIVE_INFINITY) =>
  number(
    most < Number.POSITIVE_INFINITY
      ? `a whole number from ${least} to ${most}`
      : `a whole number, at least ${least}`,
    'int',
    (n) => Number.isInteger(n) && n >= least && n <= most,
  );
export const seconds = ({ canBe0 = false, most = 1e9 } = {}) =>
  number(
    `a number of seconds${canBe0 ? ', at least 0' : ' above 0'}`,
    'float',
    (n) => (canBe0 ? n >= 0 : n > 0) && n <= most,
  );

/** The same numbers, in other words. */
export const inWords = (domain: Domain<number>, limit: string): Domain<number> => ({ ...domain, limit });

/** A number of workers; below 0 counted from all cores: −1 is one for each. */
export const fromCores = () =>
  number(
    'a whole number, at least 1, or below 0 to count from all cores',
    'int',
    (n) => Number.isInteger(n) && n !== 0,
  );

export const seed = () =>
  textOrNumber(SEED_RANGE, { ts: 'number | bigint | string', py: 'int | str' }, (value) =>
    isSeed(value) ? value : undefined,
  );

export const shards = (): Domain<number | 'auto'> =>
  textOrNumber<number | 'auto'>(
    'auto or a whole number, at least 1',
    { ts: "number | 'auto'", py: 'int | str' },
    (value) => {
      if (value === 'auto') return value;
      return /^[1-9]\d{0,15}$/.test(value) ? Number(value) : undefined;
    },
  );

export function transform(): Domain<TransformChoice> {
  const names = ['auto', 'center', 'normalize', 'standard', 'min-max', 'min-max-global', 'none'];
  const isTransform = (value: string): value is TransformChoice =>
    names.includes(value) || (/^pca:([1-9]\d*|0?\.\d+)$/.test(value) && /[1-9]/.test(value));
  const types = { ts: `${names.map((name) => `'${name}'`).join(' | ')} | \`pca:\${number}\``, py: 'str' };
  return textual(
    `${names.join(', ')}, pca:<axes> such as pca:16, or pca:<share> such as pca:0.95`,
    types,
    (value) => (isTransform(value) ? value : undefined),
  );
}

/** `28` or `32x24`, width first. */
export const imageSize = () =>
  textOrNumber(
    'pixels such as 28, or width x height such as 32x24, each from 1 to 1024',
    { ts: 'number | string', py: 'int | str' },
    (value) => {
      const sides = value.split('x');
      const isSize = sides.length <= 2 && sides.every((side) => /^[1-9]\d{0,3}$/.test(side) && +side <= 1024);
      if (!isSize) return undefined;
      return sides.length === 2 ? value : `${value}x${value}`;
    },
  );

/** What is between the columns of a text. */
export const separator = () =>
  textual("one character such as ';', tab or blanks", { ts: 'string', py: 'str' }, (value) =>
    /^(tab|blanks|[^\r\n"])$/u.test(value) ? value : undefined,
  );

/** A comma-separated list as a flag; in a file or a program also a number or an array. */
export function widths(): Domain<number[]> {
  const isList = (value: unknown) =>
    [value].flat().every(isWord) && /^[1-9]\d{0,4}(,[1-9]\d{0,4})*$/.test(String(value));
  return {
    type: 'string',
    limit: 'layer widths such as 50 or 50,50',
    isList: true,
    types: { ts: 'readonly number[] | number | string', py: 'int | str | Sequence[int]' },
    read: (value) => (isList(value) ? String(value).split(',').map(Number) : undefined),
  };
}

/** Names of columns, comma-separated; in a file or a program also an array of them, in which names may have commas. */
export function columnNames(): Domain<string[]> {
  const isList = (value: unknown): value is Word | Word[] =>
    [value].flat().length > 0 && [value].flat().every((item) => isWord(item) && String(item).trim() !== '');
  return {
    type: 'string',
    limit: 'names of columns such as age,income or emb*',
    isList: true,
    types: { ts: 'string | readonly string[]', py: 'str | Sequence[str | int]' },
    read(value) {
      if (!isList(value)) return undefined;
      if (Array.isArray(value)) return value.map(String);
      return String(value)
        .split(',')
        .map((name) => name.trim());
    },
  };
}

/** A port that may be off, or at its usual place. */
export const address = (): Domain<string | boolean> => ({
  type: 'string',
  limit: 'HOST:PORT',
  kind: ['boolean', 'string'],
  types: { ts: 'boolean | string', py: 'bool | str' },
  read: (value) => (typeof value === 'boolean' || typeof value === 'string' ? value : undefined),
});

export const nullable = <T>(domain: Domain<T>): Domain<T | null> => ({
  ...domain,
  isNullable: true,
  kind: 'any',
  types: { ...domain.types, ts: `${domain.types.ts} | null` },
});

/** Why a value is not in a domain, to complete "must be …". */
export function limitFor({ type, limit }: Domain<unknown>, value: unknown): string {
  if (type !== 'number' || (typeof value === 'number' && Number.isFinite(value))) return limit;
  return typeof value === 'number' && !Number.isNaN(value) ? 'finite' : 'a number';
}
