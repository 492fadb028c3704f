// Generates the types of a run's options, and docs/api.md from the doc comments of everything that index.ts exports: npm run docs:api
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { camelCase } from '../base/text.ts';
import { type Option, options, runOptions, shownDefault, withNames } from '../coordinator/options.ts';

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

function optionMember(name: string, option: Option & { inPrograms?: string }): string {
  const { help, type, limit, types, inPrograms } = option;
  const what = `${help[0].toUpperCase()}${help.slice(1)}${type === 'number' ? ` (${limit})` : ''}`;
  const shown = inPrograms ?? shownDefault(option);
  const tag = shown === undefined ? '' : ` @defaultValue ${inProgram(shown)}`;
  const inLine = `  ${name}?: ${types.ts};`;
  const code =
    inLine.length <= LINE_WIDTH ? inLine : `  ${name}?:\n    | ${types.ts.replaceAll(' | ', '\n    | ')};`;
  return `  /** ${inProgram(what)}.${tag} */\n${code}\n`;
}

const typeOf = (name: string, comment: string, members: string[]) =>
  `/** ${comment} */\nexport interface ${name} {\n${members.join('')}}\n`;

/** library/run-options.ts. */
export function optionTypes(): string {
  const model = options
    .filter(([name]) => name !== 'data' && name !== 'labels')
    .map(([name, option]) => optionMember(name, option));
  const run = runOptions
    .filter(([, { isForTerminals }]) => !isForTerminals)
    .map(([name, option]) => optionMember(name, option));
  return [
    '// Written by `npm run docs:api` from coordinator/options.ts.\n',
    typeOf(
      'ModelOptions',
      'Options that determine the result, together with the data. One that is left out has its default: that of the schedule `fast` is shown. D is the number of columns after `transform`, K that of clusters.',
      model,
    ),
    typeOf(
      'ProgramOptions',
      'The options of the command line for how a run is computed, monitored and saved.',
      run,
    ),
  ].join('\n');
}

/** The names in order, under their headings. A name that is exported but not listed here is an error. */
const SECTIONS: Record<string, string[]> = {
  Functions: ['train', 'resume', 'predict', 'cut', 'evaluate', 'openRun', 'synth'],
  Results: [
    ...[
      'Run',
      'RunResult',
      'Scores',
      'Replicates',
      'Stability',
      'Alternation',
      'ClusterDescription',
      'ShownRow',
      'ExemplarRow',
      'BorderRow',
      'ApartColumn',
      'ClusterEvidence',
      'Prediction',
      'Cut',
      'JoinedCluster',
    ],
    ...['NextSplit', 'Evaluation', 'SavedRun', 'FittedMixture'],
    ...['DrawOptions', 'DrawnReport', 'Synthetic'],
  ],
  Options: [
    ...[
      'TrainOptions',
      'ResumeOptions',
      'RunOptions',
      'ProgramOptions',
      'ModelOptions',
      'PredictOptions',
      'CutOptions',
    ],
    ...['EvaluateOptions', 'SynthOptions', 'Data', 'Rows', 'LabelData'],
  ],
  Events: ['TimedEvent', 'RunEvent', 'Departure', 'Likelihood', 'Change', 'EndReason'],
  Errors: ['UserError', 'AbortError'],
};

interface Declaration {
  name: string;
  kind: 'function' | 'interface' | 'type' | 'class';
  /** The doc comment without asterisks; empty if there is none. */
  comment: string;
  /** The code without the doc comment and, for a function, without the body. */
  code: string;
}

interface MemberDoc {
  name: string;
  type: string;
  comment: string;
}

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
    return array
      ? array[1]
          .split(',')
          .map((item) => item.trim())
          .filter(Boolean)
          .join(' | ')
      : type;
  });

function declarationOf(name: string, text: string): Declaration {
  const head = new RegExp(
    `((?:/\\*\\*(?:(?!\\*/)[\\s\\S])*\\*/\\n)?)export (?:async )?(function|interface|type|class) ${name}\\b`,
  );
  const match = head.exec(text);
  if (!match) throw new Error(`${name} is not declared in the file that index.ts exports it from`);
  const rest = text.slice(match.index + match[1].length);
  // A declaration ends with a line that closes it, or with its first line's semicolon.
  const end = /^(?:\}|[^\n]*;$|[\s\S]*?\n(?: {2}[^\n]*;|\}))$/m.exec(rest)!;
  const kind = match[2] as Declaration['kind'];
  const block = /^\}$/m.exec(rest);
  const code =
    kind === 'type'
      ? rest.slice(0, rest.search(/;\n(?=\n|$|\/|export)/) + 1)
      : rest.slice(0, block ? block.index + 1 : end[0].length);
  return {
    name,
    kind,
    comment: withoutMarkers(match[1]),
    code: kind === 'function' ? signature(code) : withLiterals(code, text),
  };
}

const signature = (code: string) =>
  `${code
    .slice(0, code.search(/ \{\n/))
    .replace(/^export (async )?/, '')
    .trim()};`;

/** Types of members that are one of so many that they take several lines, each on one. */
const inLine = (members: string) =>
  members.replace(/:\n {4}\| ([^;]*);/g, (_, types: string) => `: ${types.replace(/\n {4}\| /g, ' | ')};`);

/** The members of an interface or class, with their comments. */
function membersOf({ code }: Declaration): MemberDoc[] {
  const body = inLine(code.slice(code.indexOf('{\n') + 2, code.lastIndexOf('}')));
  const member =
    /((?: {2}\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?) {2}(?:override )?(?:readonly )?(?!this\.)(\*?[\w[\].]+\??)(\([^\n]*?\): |: | = )([^\n]*);\n/g;
  return [...body.matchAll(member)].map(([, comment, name, between, type]) => ({
    name: name.replace('?', ''),
    type: between.startsWith('(') ? `${between}${type}` : type,
    comment: withoutMarkers(comment),
  }));
}

/** The first sentence of a comment, without its stop. */
function firstSentence(comment: string): string {
  const [text] = comment.split(/(?:^|\s)@(?=returns|throws|defaultValue)/);
  const inLine = text.replace(/\s+/g, ' ').trim();
  const [sentence] = /^.*?[.:](?= [A-Z`]|$)/.exec(inLine) ?? [inLine];
  return sentence.replace(/\.$/, '');
}

const withoutComments = (code: string) => code.replace(/^ *\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n/gm, '');

/** Types whose members another page describes, and where. */
const ELSEWHERE: Record<string, string> = {
  ModelOptions: 'flags.md',
  ProgramOptions: 'flags.md#run',
  ClusterDescription: 'run-directory.md#clustersjson',
  ShownRow: 'run-directory.md#clustersjson',
  ExemplarRow: 'run-directory.md#clustersjson',
  BorderRow: 'run-directory.md#clustersjson',
  ApartColumn: 'run-directory.md#clustersjson',
  ClusterEvidence: 'run-directory.md#clustersjson',
  Scores: 'run-directory.md#runjson',
  Replicates: 'run-directory.md#runjson',
  Stability: 'run-directory.md#runjson',
  FittedMixture: 'run-directory.md#mixture-which-coordinates',
  RunEvent: 'run-directory.md#eventsjsonl',
};

function section(declaration: Declaration): string {
  const { name, kind, comment, code } = declaration;
  const [, parents] = /^export (?:interface|class) \w+ extends (.*) \{\n/.exec(code) ?? [];
  const text = firstSentence(comment);
  const parts = [`### ${name}`, parents ? `${text}; extends \`${parents}\`.` : text && `${text}.`].filter(
    Boolean,
  );
  const page = ELSEWHERE[name];
  if (page) parts.push(`Described in [${page.replace(/#.*/, '')}](${page}).`);
  if (page && (kind === 'type' || page.startsWith('flags'))) return parts.join('\n\n');
  if (kind === 'function' || kind === 'type') {
    parts.push(`\`\`\`ts\n${withoutComments(code).replace(/^export /, '')}\n\`\`\``);
    return parts.join('\n\n');
  }
  const members = membersOf(declaration).filter(({ name }) => name !== 'name');
  const rows = members.map(({ name: member, type, comment }) => {
    const text = page ? '' : firstSentence(comment);
    return `- \`${member}${type.startsWith('(') ? '' : ': '}${type}\`${text && `: ${text}`}`;
  });
  if (rows.length) parts.push(rows.join('\n'));
  return parts.join('\n\n');
}

/** The complete page. */
export function apiReference(): string {
  const files = exportsOf(source('index.ts'));
  const listed = Object.values(SECTIONS).flat();
  const missing = [...files.keys()].filter((name) => !listed.includes(name));
  if (missing.length) throw new Error(`${missing.join(', ')}: exported, but in no section of docs/api.md`);
  const sections = Object.entries(SECTIONS).map(([title, names]) =>
    [`## ${title}`, ...names.map((name) => section(declarationOf(name, source(files.get(name)!))))].join(
      '\n\n',
    ),
  );
  return [
    '# The library: reference',
    '<!-- Written by `npm run docs:api` from the doc comments in the source. -->',
    'What the package `dpmesh` exports, each with its first sentence; editors show the rest. [library.md](library.md) has complete\nprograms.',
    ...sections,
    '',
  ].join('\n\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(TYPES_FILE, optionTypes());
  writeFileSync(API_PAGE, apiReference());
}
