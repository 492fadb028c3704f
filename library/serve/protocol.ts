import * as z from 'zod/mini';
import { list } from '../../base/schema.ts';
import { concatenated, ranges, yieldToEventLoop } from '../../base/slices.ts';
import { decode, parseDtype } from '../../data/arrays/dtype.ts';
import { ROW_NUMBERS, type RowNumber } from '../../model/row-columns.ts';
import { MAP_COLUMNS } from '../../run/label-table.ts';
import { type Body, refusal } from './bodies.ts';

/** Requests and responses of the Open Inference Protocol, version 2, with binary data: pure functions of their bytes. */

const bad = (message: string) => refusal(400, message);

/** The element types of rows, in NumPy's notation. */
const INPUT_TYPES = new Map<string, string>([
  ...[['FP16', '<f2'] as const, ['FP32', '<f4'] as const, ['FP64', '<f8'] as const],
  ...[8, 16, 32, 64].flatMap((bits) =>
    [['INT', 'i'] as const, ['UINT', 'u'] as const].map(
      ([name, kind]) => [`${name}${bits}`, `<${kind}${bits / 8}`] as const,
    ),
  ),
]);

const INTEGER = { datatype: 'INT32', array: Int32Array, bytes: 4 } as const;
const FLOAT = { datatype: 'FP32', array: Float32Array, bytes: 4 } as const;
/** The outputs, one number a row; `probabilities` has one for each of the K clusters. */
export const OUTPUTS = {
  label: INTEGER,
  confidence: FLOAT,
  outlier_score: { datatype: 'FP64', array: Float64Array, bytes: 8 } as const,
  ...(Object.fromEntries(
    ROW_NUMBERS.filter((name) => name !== 'confidence').map((name) => [name, FLOAT]),
  ) as Record<Exclude<RowNumber, 'confidence'>, typeof FLOAT>),
  ...{ log_density: FLOAT, probabilities: FLOAT, component: INTEGER, map_x: FLOAT, map_y: FLOAT },
};
/** Those that take time or room, or that few need, and are given only where they are asked for. */
const ONLY_ASKED: readonly OutputName[] = ['probabilities', 'component', ...MAP_COLUMNS];
export type OutputName = keyof typeof OUTPUTS;
export type OutputArray = Int32Array | Float32Array | Float64Array;

/** Bytes of JSON: it is parsed at once, and others wait. */
const MOST_JSON = 4 << 20;
/** Numbers that are read or written without giving others their turn. */
export const PIECE_NUMBERS = 1 << 14;
/** Characters of a number and what is between two, in JSON. */
const TEXT_BYTES = 21;
/** Bytes of a response. */
const MOST_RESPONSE = 64 << 20;

const size = z.int('must be a whole number').check(z.nonnegative('must not be negative'));
const isOn = z.optional(z.boolean('must be true or false'));
const name = z.string('must be text').check(z.maxLength(1000, 'is longer than 1,000 characters'));
const object = <T extends z.core.$ZodLooseShape>(shape: T) => z.object(shape, 'must be an object');
const request = object({
  id: z.optional(name),
  inputs: list(
    object({
      name,
      shape: list(size),
      datatype: name,
      // Too many for a schema: `numbersIn` looks at each.
      data: z.optional(z.unknown()),
      parameters: z.optional(object({ binary_data_size: z.optional(size) })),
    }),
  ),
  outputs: z.optional(list(object({ name, parameters: z.optional(object({ binary_data: isOn })) }))),
  parameters: z.optional(object({ binary_data_output: isOn })),
});

/** What the rows of a request have to be, and what can be said of them. */
export interface Signature {
  columns: number;
  /** K. */
  k: number;
  /** In the order in which they are given where none is asked for. */
  outputs: readonly OutputName[];
}

export interface InferRequest {
  id?: string;
  /** Number of rows. */
  rows: number;
  /** The rows in float32, row-major. */
  values: Float32Array;
  /** A value of a row as it was sent. */
  sent(at: number): number;
  outputs: { name: OutputName; binary: boolean }[];
}

/** Is told how many bytes will be needed, before they are; an error if there is no room. */
type Take = (bytes: number) => void;

/**
 * Reads a request. `jsonLength`: the bytes of its JSON, behind which are those of the rows; null: all is JSON. `take`: of memory, also for
 * the answer. A UserError says what is wrong with it; whether values can be labelled is not looked at.
 */
export async function readRequest(
  body: Body,
  jsonLength: number | null,
  signature: Signature,
  take: Take,
): Promise<InferRequest> {
  if (jsonLength !== null && jsonLength > body.length)
    throw bad(
      `the header Inference-Header-Content-Length is ${jsonLength}, and the body has only ${body.length} bytes`,
    );
  const length = jsonLength ?? body.length;
  if (length > MOST_JSON)
    throw refusal(
      413,
      `the JSON has more than ${MOST_JSON} bytes: send fewer rows at a time, or binary data`,
    );
  take(length);
  const { id, inputs, outputs, parameters } = parsed(body.copy(0, length));
  if (inputs.length !== 1) throw bad(`the request has ${inputs.length} inputs: send one, called rows`);
  const [input] = inputs;
  const rows = rowsOf(input, signature.columns, body.length);
  const asked = outputs?.map((one) => ({
    name: outputNamed(one.name, signature),
    binary: one.parameters?.binary_data ?? parameters?.binary_data_output ?? false,
  }));
  const names = asked?.map(({ name }) => name) ?? [];
  const again = names.find((name, i) => names.indexOf(name) < i);
  if (again) throw bad(`the output ${again} is asked for twice: ask for it once`);
  const usual = signature.outputs
    .filter((output) => !ONLY_ASKED.includes(output))
    .map((output) => ({ name: output, binary: parameters?.binary_data_output ?? false }));
  const wanted = asked ?? usual;
  takeAnswer(rows, wanted, signature, take);
  const count = rows * signature.columns;
  return { id, rows, outputs: wanted, ...(await valuesOf(input, count, { body, jsonLength }, take)) };
}

function parsed(json: Buffer): z.infer<typeof request> {
  let content: unknown;
  try {
    content = JSON.parse(json.toString());
  } catch {
    throw bad(
      'the request is not JSON, which has no NaN nor Infinity: send an object with inputs, as the Open Inference Protocol has it',
    );
  }
  const { error, data } = request.safeParse(content);
  if (data) return data;
  const [{ path, message }] = error.issues;
  throw bad(`${path.length ? path.join('.') : 'the request'} ${message}`);
}

type Input = z.infer<typeof request>['inputs'][number];

/** The number of rows by the shape, if a request of so many bytes can have them. */
function rowsOf({ name, shape }: Input, columns: number, bytes: number): number {
  const [rows, width] = shape.length === 1 ? [1, shape[0]] : shape;
  if (shape.length < 1 || shape.length > 2 || width !== columns)
    throw bad(`${name} has the shape [${shape.slice(0, 9)}], and must have [rows, ${columns}]`);
  if (rows < 1) throw bad(`${name} has no rows: send one at least`);
  if (rows * columns > bytes) throw bad(`${name} has less data than its shape [${shape}] says`);
  return rows;
}

function outputNamed(wanted: string, { outputs }: Signature): OutputName {
  const found = outputs.find((output) => output === wanted);
  if (!found) throw bad(`there is no output ${wanted}: ask for ${outputs.join(', ')}`);
  return found;
}

/** UserError if the answer would be too long. */
function takeAnswer(rows: number, outputs: InferRequest['outputs'], { k }: Signature, take: Take): void {
  const bytesOf = (ofNumber: (output: InferRequest['outputs'][number]) => number) =>
    outputs.reduce((sum, one) => sum + ofNumber(one) * (one.name === 'probabilities' ? k : 1), 0);
  const stored = bytesOf(({ name }) => OUTPUTS[name].bytes);
  const written = bytesOf(({ name, binary }) => (binary ? OUTPUTS[name].bytes : TEXT_BYTES));
  if (rows * written > MOST_RESPONSE)
    throw bad(
      `the answer for ${rows} rows would be too long: send ${Math.floor(MOST_RESPONSE / written)} rows at most, or ask for binary data`,
    );
  // Its pieces are put together.
  take(rows * (stored + 2 * written));
}

/** The numbers of an input, which are `count`. */
async function valuesOf(
  { name, datatype, shape, data, parameters }: Input,
  count: number,
  { body, jsonLength }: { body: Body; jsonLength: number | null },
  take: Take,
): Promise<Pick<InferRequest, 'values' | 'sent'>> {
  const descr = INPUT_TYPES.get(datatype);
  if (!descr)
    throw bad(
      `${name} has the datatype ${datatype}, and must have one of ${[...INPUT_TYPES.keys()].join(', ')}`,
    );
  const wrongCount = () => bad(`${name} has not as much data as its shape [${shape}] says`);
  const bytes = parameters?.binary_data_size;
  if (bytes === undefined) {
    if (jsonLength !== null && jsonLength < body.length)
      throw bad(`there are bytes behind the JSON: ${name} needs the parameter binary_data_size`);
    if (data === undefined) throw bad(`${name} has no data: send a list of numbers`);
    if (!Array.isArray(data)) throw bad('data must be a list of numbers');
    take((Float64Array.BYTES_PER_ELEMENT + Float32Array.BYTES_PER_ELEMENT) * count);
    const numbers = numbersIn(data, shape.at(-1)!);
    if (numbers.length !== count) throw wrongCount();
    return { values: new Float32Array(numbers), sent: (at) => numbers[at] };
  }
  if (data !== undefined) throw bad(`${name} has both data and binary_data_size: leave one of them out`);
  const dtype = parseDtype(descr);
  const start = jsonLength ?? body.length;
  if (bytes !== body.length - start)
    throw bad(
      jsonLength === null
        ? `${name} has binary_data_size, which needs the header Inference-Header-Content-Length`
        : `${name} has the binary_data_size ${bytes}, and ${body.length - start} bytes follow the JSON`,
    );
  if (bytes !== count * dtype.size) throw wrongCount();
  take(Float32Array.BYTES_PER_ELEMENT * count);
  const values = new Float32Array(count);
  const stored = (from: number, to: number) =>
    decode(body.copy(start + from * dtype.size, start + to * dtype.size), dtype);
  for (const { from, to } of ranges(count, PIECE_NUMBERS)) {
    if (from) await yieldToEventLoop();
    values.set(stored(from, to), from);
  }
  return { values, sent: (at) => stored(at, at + 1)[0] };
}

/** The numbers of a list, or of the rows in it. */
function numbersIn(data: readonly unknown[], columns: number): number[] {
  const areRows = Array.isArray(data[0]);
  const odd = areRows && data.find((row) => !Array.isArray(row) || row.length !== columns);
  if (odd)
    throw bad(`data: a row has ${(odd as unknown[]).length ?? 'no'} numbers, and must have ${columns}`);
  const numbers = areRows ? data.flat() : data;
  const wrong = numbers.findIndex((value) => typeof value !== 'number');
  if (wrong >= 0) throw bad(`data: value ${wrong} (counted from 0) is not a number`);
  return numbers as number[];
}

export interface InferResponse {
  model: string;
  version: string;
  id?: string;
  rows: number;
  outputs: readonly { name: OutputName; binary: boolean; values: OutputArray }[];
}

/** The bytes of a response. `jsonLength`: of its JSON, where binary data are behind it; else null. */
export async function writeResponse({ model, version, id, rows, outputs }: InferResponse): Promise<{
  body: Buffer;
  jsonLength: number | null;
}> {
  const head = JSON.stringify({ model_name: model, model_version: version, id });
  const parts: Buffer[] = [Buffer.from(`${head.slice(0, -1)},"outputs":[`)];
  for (const [at, { name, binary, values }] of outputs.entries()) {
    const width = values.length / rows;
    const shape = name === 'probabilities' ? [rows, width] : [rows];
    const about = `${at ? ',' : ''}{"name":"${name}","datatype":"${OUTPUTS[name].datatype}","shape":[${shape}]`;
    if (binary) {
      parts.push(Buffer.from(`${about},"parameters":{"binary_data_size":${values.byteLength}}}`));
      continue;
    }
    parts.push(Buffer.from(`${about},"data":[`));
    for (const { from, to } of ranges(values.length, PIECE_NUMBERS)) {
      if (from) await yieldToEventLoop();
      parts.push(Buffer.from(`${from ? ',' : ''}${values.subarray(from, to).join()}`, 'latin1'));
    }
    parts.push(Buffer.from(']}'));
  }
  parts.push(Buffer.from(']}'));
  const jsonLength = outputs.some(({ binary }) => binary) ? byteLength(parts) : null;
  for (const { binary, values } of outputs)
    if (binary) parts.push(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  const body = await concatenated(parts, Buffer.allocUnsafeSlow(byteLength(parts)));
  return { body, jsonLength };
}

const byteLength = (parts: readonly Buffer[]) => parts.reduce((sum, { length }) => sum + length, 0);
