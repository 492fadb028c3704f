// Writes the tables of docs/flags.md, each between two comments, from what the commands know: npm run docs:flags
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { camelCase } from '../base/text.ts';
import { OPTIONS, type Option, type OptionName, options } from '../coordinator/config.ts';
import * as coordinator from './coordinator.ts';
import * as doctor from './doctor.ts';
import * as evaluate from './evaluate.ts';
import type { Flag, Flags } from './flag.ts';
import * as keygen from './keygen.ts';
import * as launch from './launch.ts';
import * as plot from './plot.ts';
import * as predict from './predict.ts';
import * as resume from './resume.ts';
import { resultFlags } from './run-flags.ts';
import * as setup from './setup.ts';
import * as synth from './synth.ts';
import * as train from './train.ts';
import * as watch from './watch.ts';
import * as worker from './worker.ts';

type Row = readonly string[];

const table = (head: Row, rows: Row[]) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const code = (text: string) => `\`${text}\``;
/** Flags in a text, and what would be HTML, as code. */
const prose = (text: string) => text.replace(/--[a-z][\w-]*|[\w:/-]*<\w+>/g, code);

function value(of: unknown): string {
  if (of === undefined) return '';
  if (typeof of === 'boolean') return of ? 'yes' : 'no';
  const text = String(of);
  return /^[^\d\s]\S*$/.test(text) && text !== 'none' ? code(text) : prose(text);
}
const defaultOf = (flag: Flag) =>
  flag.demandOption ? 'needed' : value(flag.defaultDescription ?? flag.default);

function described({ describe, choices, alias }: Flag): string {
  const values = choices ? ` (${choices.map(value).join(', ')})` : '';
  return `${prose(describe!)}${values}${alias ? `; also ${code(`--${alias}`)}` : ''}`;
}

const visible = (flags: Flags) => Object.entries(flags).filter(([, flag]) => !flag.hidden);

/** Of the options of a run's result under this heading. */
function resultTable(group: string): string {
  const rows = visible(resultFlags)
    .filter(([, flag]) => flag.group === group)
    .map(([name, flag]) => {
      const option: Partial<Option> | undefined = OPTIONS[camelCase(name) as OptionName];
      const { type, describe, limit = '', choices, fast, paper, defaultText, symbol = '' } = option ?? {};
      const values = choices?.map(code).join(', ') ?? (type === 'boolean' ? 'yes or no' : prose(limit));
      const what = prose(describe ?? flag.describe!);
      return [code(`--${name}`), what, values, value(defaultText ?? fast), value(paper), symbol];
    });
  return table(['flag', 'what', 'values', '`fast`', '`paper`, if another', 'symbol'], rows);
}

/** Of `train` and `coordinator`: how a run goes. */
function courseTable(): string {
  const commands = { train: train.builder, coordinator: coordinator.builder };
  const all: Flags = { ...commands.train, ...commands.coordinator };
  const rows = visible(all)
    .filter(([name]) => !Object.hasOwn(resultFlags, name))
    .map(([name, flag]) => {
      const having = Object.entries(commands).flatMap(([command, flags]) =>
        name in flags ? code(command) : [],
      );
      const where = having.length > 1 ? 'both' : having[0];
      return [code(`--${name}`), where, described(flag), defaultOf(flag)];
    });
  return table(['flag', 'command', 'what', 'default'], rows);
}

/** Of a command; flags that it has from others are only named. */
function commandTable(flags: Flags, ...others: [name: string, flags: Flags][]): string {
  const own: Row[] = [];
  const shared = new Map(others.map(([name]) => [name, [] as string[]]));
  for (const [name, flag] of visible(flags)) {
    const other = others.find(([, flags]) => flags[name] === flag);
    if (other) shared.get(other[0])!.push(code(`--${name}`));
    else own.push([code(`--${name}`), described(flag), defaultOf(flag)]);
  }
  const named = [...shared].flatMap(([name, flags]) =>
    flags.length ? [[flags.join(', '), `as for ${code(name)}`, '']] : [],
  );
  return table(['flag', 'what', 'default'], [...own, ...named]);
}

const TABLES: Record<string, () => string> = {
  ...Object.fromEntries(options.map(([, { group }]) => [group.replace(':', ''), () => resultTable(group)])),
  'train and coordinator': courseTable,
  resume: () => commandTable(resume.builder, ['train', train.builder], ['coordinator', coordinator.builder]),
  worker: () => commandTable(worker.builder),
  launch: () => commandTable(launch.builder, ['worker', worker.builder]),
  ...Object.fromEntries(
    Object.entries({ setup, watch, keygen, predict, evaluate, plot, synth, doctor }).map(
      ([name, { builder }]) => [name, () => commandTable(builder)],
    ),
  ),
};

/** docs/flags.md with its tables as they should be: `<!-- flags: NAME -->`, a table, `<!-- end -->`. */
export const withTables = (markdown: string) =>
  markdown.replace(/(<!-- flags: (.*) -->\n)[\s\S]*?(<!-- end -->)/g, (_, begin, name, end) => {
    return `${begin}\n${TABLES[name]()}\n\n${end}`;
  });

export const FLAGS_PAGE = fileURLToPath(new URL('../docs/flags.md', import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(FLAGS_PAGE, withTables(readFileSync(FLAGS_PAGE, 'utf8')));
