// Generates the lists of states and tasks in proto/README.md, each between two comments: npm run docs:proto

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as z from 'zod/mini';
import { MAX_MAGNITUDE } from '../model/arrays.ts';
import type { TensorSpec, TensorSpecs } from '../proto/shapes.ts';
import type { StateSpec, TaskEntry } from '../proto/tasks.ts';
import { STATES } from './states.ts';
import { ENTRIES } from './table.ts';

interface Parameter {
  type?: string;
  enum?: string[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  items?: Parameter;
  properties?: Record<string, Parameter>;
}

/** Any tensor is there. */
const everything = new Proxy({}, { has: () => true });

const code = (text: string) => `\`${text}\``;
/** The range of a tensor's values, briefly: `<K` are the whole numbers from 0 to K − 1. */
const shortRange = (text: string) =>
  text
    .replace(/^whole, below /, '<')
    .replace(/^whole, from (\S+) to below /, '$1…<')
    .replace(/^(\S+) … (\S+)$/, '$1…$2')
    .replace('≥ ', '≥')
    .replace('numbers of rows', 'counts')
    .replaceAll(String(MAX_MAGNITUDE), '10¹⁸');

function tensorText(name: string, { dtype, shape, values }: TensorSpec): string {
  const range = values?.text ? ` ${shortRange(values.text)}` : '';
  return `${code(name)} ${dtype}[${shape.join().replaceAll('*', '·')}]${range}`;
}

/** All of these tensors; in parentheses those that are not in each of the lists. */
function tensorsText(lists: TensorSpecs[]): string {
  const all: TensorSpecs = Object.assign({}, ...lists);
  return Object.entries(all)
    .map(([name, spec]) => {
      const isOptional = !lists.every((list) => name in list);
      return isOptional ? `(${tensorText(name, spec)})` : tensorText(name, spec);
    })
    .join(', ');
}

function rangeText({
  type,
  enum: names,
  minimum,
  exclusiveMinimum,
  maximum,
  items,
  properties,
}: Parameter): string {
  if (names) return names.map(code).join('|');
  if (items) return `list of ${rangeText(items)}`;
  if (properties) return `{${parametersText(properties)}}`;
  if (type === 'boolean') return 'bool';
  const most = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? maximum.toLocaleString('en') : '';
  const least = minimum ?? (exclusiveMinimum === undefined ? undefined : `>${exclusiveMinimum}`);
  const isInt = type === 'integer';
  if (least === undefined || (isInt && least === 0 && !most)) return isInt ? 'int' : (type ?? '');
  const range = most ? `${least}…${most}` : typeof least === 'number' ? `≥${least}` : least;
  return `${isInt ? 'int' : type} ${range}`;
}

const parameterTexts = (properties: Record<string, Parameter>) =>
  Object.entries(properties).map(([name, parameter]) => `${code(name)} ${rangeText(parameter)}`.trim());
const parametersText = (properties: Record<string, Parameter>) => parameterTexts(properties).join(', ');

/** Parameters that several tasks begin with are only named once. */
const FEWEST_SHARED = 5;
const firstWith = new Map<string, string>();

function sharedText(task: string, properties: Record<string, Parameter>): string {
  const texts = parameterTexts(properties);
  const shared = texts.slice(0, FEWEST_SHARED).join(', ');
  const first = firstWith.get(shared);
  if (!first && texts.length === FEWEST_SHARED) firstWith.set(shared, task);
  return first ? [`those of ${code(first)}`, ...texts.slice(FEWEST_SHARED)].join(', ') : texts.join(', ');
}

/** Values of parameters by which states and results may differ. */
function variantsOf(properties: Record<string, Parameter>, required: string[]): Record<string, unknown>[] {
  let variants: Record<string, unknown>[] = [{}];
  for (const [name, { type, enum: names, properties: fields, minimum }] of Object.entries(properties)) {
    const values =
      names ??
      (type === 'boolean'
        ? [false, true]
        : fields && !required.includes(name)
          ? [undefined, {}]
          : type === 'number' && minimum === 0
            ? [0, 1]
            : [`(${name})`]);
    variants = variants.flatMap((variant) =>
      (values as unknown[]).map((value) => ({ ...variant, [name]: value })),
    );
  }
  return variants;
}

function taskLine([name, entry]: [string, TaskEntry<z.core.$ZodLooseShape>]): string {
  const { rows, sums, reads, results } = entry;
  const schema = z.toJSONSchema(z.object(entry.parameters), { unrepresentable: 'any' });
  const { properties = {}, required = [] } = schema as {
    properties?: Record<string, Parameter>;
    required?: string[];
  };
  const variants = variantsOf(properties, required) as never[];
  const lists = variants.map((variant) => reads(variant));
  // The page says which tasks read `hashes`.
  const names = [...new Set(lists.flatMap(Object.keys))].filter((state) => state !== 'hashes');
  const states = names.map((state) => {
    const text = state.startsWith('(') ? `that of ${code(state.slice(1, -1))}` : code(state);
    return lists.every((list) => state in list) ? text : `(${text})`;
  });
  const given = variants.flatMap((variant) =>
    [{}, everything].map((transform) => results(variant, { transform })),
  );
  const parts = [
    ['takes', sharedText(name, properties)],
    ['reads', states.join(', ')],
    ['gives', tensorsText(given)],
  ].flatMap(([verb, list]) => (list ? `${verb} ${list}` : []));
  return `- ${code(name)} (${rows}${sums ? ', sums' : ''}) ${parts.join('; ')}`;
}

const LISTS: Record<string, string> = {
  tasks: Object.entries(ENTRIES as never)
    .map(taskLine as never)
    .join('\n'),
  states: Object.entries(STATES as Record<string, StateSpec>)
    .map(([name, { tensors }]) => ({ name, text: tensorsText([tensors({}), tensors(everything)]) }))
    .flatMap(({ name, text }) => (text ? `- ${code(name)}: ${text}` : []))
    .join('\n'),
};

/** The page with these as they should be. */
export const withTables = (page: string): string =>
  Object.entries(LISTS).reduce(
    (text, [name, rows]) =>
      text.replace(
        new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- end -->)`),
        (_, start, end) => `${start}${rows}\n${end}`,
      ),
    page,
  );

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const page = new URL('../proto/README.md', import.meta.url);
  writeFileSync(page, withTables(readFileSync(page, 'utf8')));
}
