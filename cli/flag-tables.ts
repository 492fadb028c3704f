// Generates the tables of docs/flags.md, each between two comments, from the commands' flags: npm run docs:flags
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { camelCase } from '../base/text.ts';
import { text } from '../coordinator/domains.ts';
import { OPTIONS, type Option, type OptionName, options } from '../coordinator/options.ts';
import { commands } from './commands.ts';
import { type Flag, type Flags, nameOf, resultFlags } from './flags.ts';
import { coordinator, finish, resume, train } from './runs.ts';
import { launch, worker } from './workers.ts';

type TableRow = readonly string[];

const table = (head: TableRow, rows: TableRow[]) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const code = (text: string) => `\`${text}\``;
/** A text with flags, and placeholders that would be HTML, as code. */
const withCode = (text: string) => text.replace(/--[a-z][\w-]*|[\w:/-]*<\w+>/g, code);

/** A value as a table cell; empty for undefined. */
function valueCell(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  const text = String(value);
  return /^[^\d\s]\S*$/.test(text) && text !== 'none' ? code(text) : withCode(text);
}
const defaultOf = (flag: Flag) =>
  flag.demandOption ? 'required' : valueCell(flag.defaultDescription ?? flag.default);

function described({ describe, choices, alias }: Flag): string {
  const values = choices ? ` (${choices.map(valueCell).join(', ')})` : '';
  return `${withCode(describe!)}${values}${alias ? `; also ${code(`--${alias}`)}` : ''}`;
}

const visible = (flags: Flags) => Object.entries(flags).filter(([, flag]) => !flag.hidden);

/** The table of the options in one group. */
function resultTable(group: string): string {
  const rows = visible(resultFlags)
    .filter(([, flag]) => flag.group === `${group}:`)
    .map(([name, flag]) => {
      const option: Partial<Option> | undefined = OPTIONS[camelCase(name) as OptionName];
      const { type, help, limit = '', choices, fast, paper, defaultText, symbol = '' } = option ?? {};
      const values =
        choices?.map(code).join(', ') ??
        (type === 'boolean' ? 'yes or no' : limit === text().limit ? '' : withCode(limit));
      const what = withCode(help ?? flag.describe!);
      return [code(`--${name}`), what, values, valueCell(defaultText ?? fast), valueCell(paper), symbol];
    });
  return table(
    ['flag', 'description', 'values', '`fast` (default)', '`paper`, if different', 'symbol'],
    rows,
  );
}

/** The table of the other flags of `train` and `coordinator`, which do not affect the result. */
function runTable(): string {
  const commands = { train: train.builder, coordinator: coordinator.builder };
  const all: Flags = { ...commands.train, ...commands.coordinator };
  const rows = visible(all)
    .filter(([name]) => !Object.hasOwn(resultFlags, name))
    .map(([name, flag]) => {
      const commandsWithFlag = Object.entries(commands).flatMap(([command, flags]) =>
        name in flags ? code(command) : [],
      );
      const where = commandsWithFlag.length > 1 ? 'both' : commandsWithFlag[0];
      return [code(`--${name}`), where, described(flag), defaultOf(flag)];
    });
  return table(['flag', 'command', 'description', 'default'], rows);
}

/** The table of a command. Flags that it shares with `others` are only listed by name. */
function commandTable(flags: Flags, ...others: [name: string, flags: Flags][]): string {
  const own: TableRow[] = [];
  const shared = new Map(others.map(([name]) => [name, [] as string[]]));
  for (const [name, flag] of visible(flags)) {
    const other = others.find(([, flags]) => isDeepStrictEqual(flags[name], flag));
    if (other) shared.get(other[0])!.push(code(`--${name}`));
    else own.push([code(`--${name}`), described(flag), defaultOf(flag)]);
  }
  const named = [...shared].flatMap(([name, flags]) =>
    flags.length ? [[flags.join(', '), `as for ${code(name)}`, '']] : [],
  );
  return table(['flag', 'description', 'default'], [...own, ...named]);
}

const TABLES: Record<string, () => string> = {
  ...Object.fromEntries(options.map(([, { group }]) => [group, () => resultTable(group)])),
  'train and coordinator': runTable,
  resume: () => commandTable(resume.builder, ['train', train.builder], ['coordinator', coordinator.builder]),
  finish: () => commandTable(finish.builder, ['resume', resume.builder], ['train', train.builder]),
  worker: () => commandTable(worker.builder),
  launch: () => commandTable(launch.builder, ['worker', worker.builder]),
};
for (const { command, builder } of commands) TABLES[nameOf({ command })] ??= () => commandTable(builder);

/** The page with up-to-date tables, each between `<!-- flags: NAME -->` and `<!-- end -->`. */
export const withTables = (markdown: string) =>
  markdown.replace(/(<!-- flags: (.*) -->\n)[\s\S]*?(<!-- end -->)/g, (_, begin, name, end) => {
    return `${begin}\n${TABLES[name]()}\n\n${end}`;
  });

export const FLAGS_PAGE = fileURLToPath(new URL('../docs/flags.md', import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(FLAGS_PAGE, withTables(readFileSync(FLAGS_PAGE, 'utf8')));
