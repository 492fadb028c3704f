// Generates the types of a run's options, and docs/api.md from the doc comments of everything that index.ts exports: npm run docs:api
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { camelCase } from '../base/text.ts';
import { FOLLOW_OPTIONS } from '../library/follow/options.ts';
import { type Option, shownDefault, withNames } from '../run/option.ts';
import { options, UPDATE_OPTIONS } from '../run/options.ts';
import { runOptions } from '../run/session-options.ts';

const root = (path: string) => new URL(`../${path}`, import.meta.url);
const source = (path: string) => readFileSync(root(path), 'utf8');

export const API_PAGE = fileURLToPath(root('docs/api.md'));

export const TYPES_FILE = fileURLToPath(root('library/run-options.ts'));

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
    '// Written by `npm run docs:api` from the tables of options.\n',
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

/** The names in order, under their headings. A name that is exported but not listed here is an error. */
const SECTIONS: Record<string, string> = {
  Functions:
    'train update follow resume predict serve exportModel exportMap cut addWords nameClusters renameCluster evaluate openRun synth',
  Results: `Run RunResult Scores Replicates Stability EvidenceForK Decision Alternation ClusterDescription ShownRow ExemplarRow BorderRow
    ApartColumn ClusterEvidence UpdateSummary FollowedBatch Prediction ModelServer ExportedModel ExportedMap Cut JoinedCluster NextSplit AddedWords NamedClusters Renamed Evaluation SavedRun FittedMixture DrawOptions
    DrawnReport Synthetic`,
  Options: `TrainOptions UpdateOptions UpdateOwnOptions FollowOptions FollowOwnOptions ResumeOptions RunOptions ProgramOptions ModelOptions PredictOptions ServeOptions ExportOptions ExportMapOptions CutOptions WordsOptions NameOptions RenameOptions EvaluateOptions
    SynthOptions Data Rows LabelData`,
  Events: 'TimedEvent RunEvent Departure Likelihood Change EndReason',
  Errors: 'UserError AbortError',
};

/** Types whose members another page describes, by the place there. */
const ELSEWHERE: Record<string, string> = {
  'flags.md': 'ModelOptions',
  'flags.md#run': 'ProgramOptions',
  'flags.md#update': 'UpdateOwnOptions',
  'flags.md#follow': 'FollowOwnOptions',
  'run-directory.md#clustersjson':
    'ClusterDescription ShownRow ExemplarRow BorderRow ApartColumn ClusterEvidence',
  'run-directory.md#runjson': 'Scores Replicates Stability EvidenceForK Decision',
  'run-directory.md#mixture-which-coordinates': 'FittedMixture',
  'run-directory.md#eventsjsonl': 'TimedEvent RunEvent Departure Likelihood Change EndReason',
};

/** Members that many types of a section have, described once, at its head; the types have their names alone. */
const COMMON: Record<string, Record<string, string>> = {
  Results: {
    'rows: number': 'their number N',
    'columns: number': 'their number D',
    'labels: Int32Array': 'the cluster of each row, N',
    'notes: string[]': 'what was seen, left out or left as it was, and why, a sentence each',
  },
  Options: {
    'run: string': 'the directory of a finished run',
    'force: boolean': 'overwrite existing files',
    'signal: AbortSignal':
      'cancels the call: no files are written, and the promise rejects with an `AbortError`',
    'log(line: string) => void': 'called with messages for people',
    'status(text: string) => void':
      'called with how far it is, many times a second: a text that the next one replaces',
  },
};
/** Types in which these mean something else. */
const UNCOMMON = ['RunOptions', 'ResumeOptions', 'FollowedBatch', 'ExportedModel', 'DrawOptions'];
const common = (members: Record<string, string>) =>
  `Common to many: ${Object.entries(members)
    .map(([name, what]) => `\`${name}\`, ${what}`)
    .join('; ')}.`;

const namesIn = (list: string) => list.split(/\s+/);

/** The file of each exported name. */
function exportsOf(index: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const [, names, file] of index.matchAll(/export (?:type )?\{([^}]*)\} from '\.\/([^']*)'/g))
    for (const name of names.split(',').map((part) => part.trim().replace(/^type /, '')))
      if (name) files.set(name, file);
  return files;
}

const withoutMarkers = (comment: string) =>
  comment
    .replace(/^\s*\/\*\*|\*\/\s*$/g, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, ''))
    .join('\n')
    .trim();

/** Spells out `(typeof NAMES)[number]` as the literals of the array `NAMES` in the same file. */
const withLiterals = (code: string, text: string) =>
  code.replace(/\(typeof (\w+)\)\[number\]/g, (type, name) => {
    const array = new RegExp(`const ${name}(?:: [^=]*)? = \\[([^\\]]*)\\]`).exec(text);
    return array ? array[1].split(/,\s*/).filter(Boolean).join(' | ') : type;
  });

/** With `comment`, its doc comment without asterisks, and `code` without that and, of a function, without the body. */
function declarationOf(name: string, text: string) {
  const head = new RegExp(
    `((?:/\\*\\*(?:(?!\\*/)[\\s\\S])*\\*/\\n)?)export (?:async )?(function|interface|type|class)\\*? ${name}\\b`,
  );
  const match = head.exec(text);
  if (!match) throw new Error(`${name} is not declared in the file that index.ts exports it from`);
  const rest = text.slice(match.index + match[1].length);
  // A declaration ends with a line that closes it, or with its first line's semicolon.
  const end = /^(?:\}|[^\n]*;$|[\s\S]*?\n(?: {2}[^\n]*;|\}))$/m.exec(rest)!;
  const kind = match[2];
  const block = /^\}$/m.exec(rest);
  const code =
    kind === 'type'
      ? rest.slice(0, rest.search(/;\n(?=\n|$|\/|export)/) + 1)
      : rest.slice(0, block ? block.index + 1 : end[0].length);
  const shown = kind === 'function' ? signature(code) : withLiterals(code, text);
  return { name, kind, comment: withoutMarkers(match[1]), code: shown };
}

const signature = (code: string) =>
  `${code
    .slice(0, code.search(/ \{\n/))
    .replace(/^export (async )?/, '')
    .replace(/^function\*/, 'function')
    .trim()};`;

/** Types of members that are one of so many that they take several lines, each on one. */
const inLine = (members: string) =>
  members.replace(/:\n {4}\| ([^;]*);/g, (_, types: string) => `: ${types.replace(/\n {4}\| /g, ' | ')};`);

/** The members of an interface or class, with their comments. */
function membersOf(code: string) {
  const body = inLine(code.slice(code.indexOf('{\n') + 2, code.lastIndexOf('}')));
  const member =
    /((?: {2}\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?) {2}(?:override )?(?:readonly )?(?!this\.)(\*?[\w[\].]+\??)(\([^\n]*?\): |: | = )([^\n]*);\n/g;
  return [...body.matchAll(member)].map(([, comment, name, between, type]) => ({
    name: name.replace('?', ''),
    type: between.startsWith('(') ? `${between}${type}` : type,
    comment: withoutMarkers(comment),
  }));
}

/** The first sentence of a comment without its stop; of what follows a semicolon outside parentheses only when it is null. */
function firstSentence(comment: string): string {
  const [text] = comment.split(/(?:^|\s)@(?=returns|throws|defaultValue)/);
  const inLine = text.replace(/\s+/g, ' ').trim();
  const [sentence] = /^(?:`[^`]*`|[^`])*?[.:](?= [A-Z`]|$)/.exec(inLine) ?? [inLine];
  const [clause] = /^(?:\([^)]*\)|[^;(])*(?:; null(?:\([^)]*\)|[^;(])*)?/.exec(sentence)!;
  return clause.replace(/[.:]$/, '');
}

const withoutComments = (code: string) => code.replace(/^ *\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n/gm, '');

function section(title: string, { name, kind, comment, code }: ReturnType<typeof declarationOf>): string {
  const [, parents] = /^export (?:interface|class) \w+ extends (.*) \{\n/.exec(code) ?? [];
  // The heading says so of options alone.
  const text = firstSentence(comment).replace(/^Options of `\w+`$/, parents ? '$&' : '');
  const extended = parents ? `; extends \`${parents}\`` : '';
  const parts = [`### ${name}`, ...(text ? [`${text}${extended}.`] : [])];
  if (kind === 'function') return `- \`${code.replace(/^function |;$/g, '')}\`: ${text}`;
  if (kind === 'type')
    return [...parts, `\`\`\`ts\n${withoutComments(code).replace(/^export /, '')}\n\`\`\``].join('\n\n');
  const members = membersOf(code).filter(({ name }) => name !== 'name');
  const shared = UNCOMMON.includes(name) ? [] : Object.keys(COMMON[title] ?? {});
  const sharedNames: string[] = [];
  const rows: string[] = [];
  for (const { name: member, type, comment } of members) {
    const shown = `${member}${type.startsWith('(') ? '' : ': '}${type.replace(/\breadonly /g, '')}`;
    const text = firstSentence(comment);
    if (shared.includes(shown)) sharedNames.push(`\`${member}\``);
    else rows.push(`- \`${shown}\`${text && `: ${text}`}`);
  }
  if (sharedNames.length) rows.unshift(`- ${sharedNames.join(', ')}`);
  return [...parts, rows.join('\n')].filter(Boolean).join('\n\n');
}

/** Where the names of this section are described that are described elsewhere. */
const elsewhere = (names: string[]) =>
  Object.entries(ELSEWHERE).flatMap(([page, types]) => {
    const here = namesIn(types).filter((name) => names.includes(name));
    const list = here.map((name) => `\`${name}\``).join(', ');
    return here.length ? `- ${list}: [${page.replace(/#.*/, '')}](${page})` : [];
  });

const isElsewhere = (name: string) => Object.values(ELSEWHERE).some((names) => namesIn(names).includes(name));

/** The complete page. */
export function apiReference(): string {
  const files = exportsOf(source('index.ts'));
  const listed = Object.values(SECTIONS).flatMap(namesIn);
  const missing = [...files.keys()].filter((name) => !listed.includes(name));
  if (missing.length) throw new Error(`${missing.join(', ')}: exported, but in no section of docs/api.md`);
  const sections = Object.entries(SECTIONS).map(([title, list]) => {
    const names = namesIn(list);
    const links = elsewhere(names);
    return [
      `## ${title}`,
      ...(title in COMMON ? [common(COMMON[title])] : []),
      ...(links.length ? [`Described elsewhere:\n\n${links.join('\n')}`] : []),
      names
        .filter((name) => !isElsewhere(name))
        .map((name) => section(title, declarationOf(name, source(files.get(name)!))))
        .join(title === 'Functions' ? '\n' : '\n\n'),
    ]
      .filter(Boolean)
      .join('\n\n');
  });
  return [
    '# The library: reference',
    '<!-- Written by `npm run docs:api` from the doc comments in the source. -->',
    'What the package `dpmesh` exports, with the beginning of each comment; editors show the rest. [library.md](library.md) has complete\nprograms.',
    ...sections,
    '',
  ].join('\n\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(TYPES_FILE, optionTypes());
  writeFileSync(API_PAGE, apiReference());
}
