// Generates library/run-options.ts, the types of a run's options with their doc comments for editors, from the tables of options: npm run options
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { camelCase } from '../base/text.ts';
import { FOLLOW_OPTIONS } from '../library/follow/options.ts';
import { type Option, shownDefault, withNames } from '../run/option.ts';
import { options, UPDATE_OPTIONS } from '../run/options.ts';
import { runOptions } from '../run/session-options.ts';

export const TYPES_FILE = fileURLToPath(new URL('../library/run-options.ts', import.meta.url));

/** As biome.json has it. */
const LINE_WIDTH = 110;

/** A text about options with their names in a program. */
const inProgram = (text: string) =>
  withNames(
    text,
    (flag) => `\`${camelCase(flag)}\``,
    (flag) => `\`${camelCase(flag)}: false\``,
  );

function optionMember([name, option]: [string, Option & { inPrograms?: string }]): string {
  const { help, type, limit, types, inPrograms } = option;
  const what = `${help[0].toUpperCase()}${help.slice(1)}${type === 'number' ? ` (${limit})` : ''}`;
  const shown = inPrograms ?? shownDefault(option);
  const tag = shown === undefined ? '' : ` @defaultValue ${inProgram(shown)}`;
  const inLine = `  ${name}?: ${types.ts};`;
  const code =
    inLine.length <= LINE_WIDTH ? inLine : `  ${name}?:\n    | ${types.ts.replaceAll(' | ', '\n    | ')};`;
  return `  /** ${inProgram(what)}.${tag} */\n${code}\n`;
}

const typeOf = (name: string, comment: string, members: [string, Option][]) =>
  `/** ${comment} */\nexport interface ${name} {\n${members.map(optionMember).join('')}}\n`;

/** library/run-options.ts. */
export function optionTypes(): string {
  const model = options.filter(([name]) => name !== 'data' && name !== 'labels');
  const run = runOptions.filter(([, { isForTerminals }]) => !isForTerminals);
  const about =
    'Options that determine the result, together with the data. One that is left out has its default: that of the schedule `fast` is shown. D is the number of columns after `transform`, K that of clusters.';
  return [
    '// Written by `npm run options` from the tables of options.\n',
    typeOf('ModelOptions', about, model),
    typeOf(
      'ProgramOptions',
      'The options of the command line for how a run is computed, monitored and saved.',
      run,
    ),
    typeOf(
      'UpdateOwnOptions',
      'What `update` has beside the options of every run.',
      Object.entries(UPDATE_OPTIONS),
    ),
    typeOf('FollowOwnOptions', 'How `follow` takes rows in.', Object.entries(FOLLOW_OPTIONS)),
  ].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(TYPES_FILE, optionTypes());
