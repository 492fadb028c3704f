// Generates the lists of docs/flags.md, each between two comments, from the commands' flags: npm run docs:flags
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { kebabCase } from '../base/text.ts';
import { options } from '../run/options.ts';
import { type Flag, type Flags, nameOf, resultFlags } from './flags.ts';
import { commands } from './program.ts';
import { cut, name } from './results.ts';
import { coordinator, finish, resume, train, update } from './runs.ts';
import { follow } from './services.ts';
import { launch, relay, worker } from './workers.ts';

const code = (text: string) => `\`${text}\``;
/** A text with flags, and placeholders that would be HTML, as code. */
const withCode = (text: string) => text.replace(/--[a-z][\w-]*|[\w:/-]*<\w+>/g, code);

/** A value; empty for undefined. */
function valueText(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return withCode(String(value));
}

/** One line for a flag: its name, its default, what it is for, and what it accepts. */
function line(name: string, value: string, what: string, accepts = ''): string {
  return `- ${code(`--${name}`)}${value && ` = ${value}`}: ${withCode(what)}${accepts && `; ${accepts}`}`;
}

const called = (name: string, alias: Flag['alias']) => (alias ? `${name}, --${alias}` : name);

const visible = (flags: Flags) => Object.entries(flags).filter(([, flag]) => !flag.hidden);

function flagLine([name, flag]: [string, Flag]): string {
  const { alias, demandOption, default: value, defaultDescription = value, describe, choices } = flag;
  const shown = demandOption ? 'required' : value === false ? '' : valueText(defaultDescription);
  const accepts = choices?.map((choice) => code(String(choice))).join(', ');
  return line(called(name, alias), shown, describe!, accepts);
}

/** What a number has to be, where that is more than not too small. */
const rangeText = (limit: string) =>
  / and | from /.test(limit) ? limit.replace(/^a whole number from /, '') : '';

/** The options in one group of those that determine the result. */
function resultList(group: string): string {
  const lines = options
    .filter(([, option]) => option.group === group)
    .map(([name, { help, type, limit, choices, fast, paper, defaultText, alias }]) => {
      const onPaper = paper === undefined ? '' : ` (paper: ${valueText(paper)})`;
      const accepts = choices?.map(code).join(', ') ?? (type === 'number' ? rangeText(limit) : '');
      const isOff = fast === false && paper === undefined;
      return line(
        called(kebabCase(name), alias),
        isOff ? '' : `${valueText(defaultText ?? fast)}${onPaper}`,
        help,
        accepts,
      );
    });
  const [config] = Object.entries(resultFlags);
  return [...(config[1].group === `${group}:` ? [flagLine(config)] : []), ...lines].join('\n');
}

/** The other flags of `train` and `coordinator`, which do not affect the result. */
function runList(): string {
  const has = { train: train.builder, coordinator: coordinator.builder };
  const all: Flags = { ...has.train, ...has.coordinator };
  return visible(all)
    .filter(([name]) => !Object.hasOwn(resultFlags, name))
    .map(([name, flag]) => {
      const only = name in has.train ? (name in has.coordinator ? '' : ' (`train`)') : ' (`coordinator`)';
      return `${flagLine([name, flag])}${only}`;
    })
    .join('\n');
}

/** Commands whose flags `--run`, `--force` and `--json` many others have too. */
const COMMON: [string, Flags] = ['cut', cut.builder];

/** The flags of a command. Those that it shares with `others` are only listed by name, or all but those that it does not share. */
function commandList(flags: Flags, ...others: [name: string, flags: Flags][]): string {
  const sources = flags === COMMON[1] ? others : [...others, COMMON];
  const own: string[] = [];
  const shared = new Map(sources.map(([name]) => [name, [] as string[]]));
  for (const [name, flag] of visible(flags)) {
    const other = sources.find(([, flags]) => isDeepStrictEqual(flags[name], flag));
    if (other) shared.get(other[0])!.push(name);
    else own.push(flagLine([name, flag]));
  }
  const list = (names: string[]) => names.map((name) => code(`--${name}`)).join(', ');
  const named = sources.flatMap(([name, flags]) => {
    const names = shared.get(name)!;
    const others = visible(flags).flatMap(([each]) => (names.includes(each) ? [] : each));
    if (!names.length) return [];
    return `- as for ${code(name)}: ${others.length < names.length / 2 ? `all but ${list(others)}` : list(names)}`;
  });
  return [...own, ...named].join('\n');
}

const LISTS: Record<string, () => string> = {
  ...Object.fromEntries(options.map(([, { group }]) => [group, () => resultList(group)])),
  'train and coordinator': runList,
  resume: () => commandList(resume.builder, ['train', train.builder], ['coordinator', coordinator.builder]),
  finish: () => commandList(finish.builder, ['resume', resume.builder], ['train', train.builder]),
  worker: () => commandList(worker.builder, ['train', train.builder]),
  update: () => commandList(update.builder, ['resume', resume.builder], ['train', train.builder]),
  follow: () => commandList(follow.builder, ['update', update.builder], ['train', train.builder]),
  name: () => commandList(name.builder, ['train', train.builder]),
  relay: () => commandList(relay.builder, ['worker', worker.builder], ['coordinator', coordinator.builder]),
  launch: () => commandList(launch.builder, ['worker', worker.builder], ['train', train.builder]),
};
for (const { command, builder } of commands) LISTS[nameOf({ command })] ??= () => commandList(builder);

/** The page with up-to-date lists, each between `<!-- flags: NAME -->` and `<!-- end -->`. */
export const withTables = (markdown: string) =>
  markdown.replace(/(<!-- flags: (.*) -->\n)[\s\S]*?(<!-- end -->)/g, (_, begin, name, end) => {
    return `${begin}\n${LISTS[name]()}\n\n${end}`;
  });

export const FLAGS_PAGE = fileURLToPath(new URL('../docs/flags.md', import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(FLAGS_PAGE, withTables(readFileSync(FLAGS_PAGE, 'utf8')));
