import * as z from 'zod/mini';
import { ranges, yieldToEventLoop } from '../../base/slices.ts';
import { UserError } from '../../base/user-error.ts';
import { decode, parseDtype } from '../../data/arrays/dtype.ts';
import { MAP_COLUMNS } from '../../data/saved/label-table.ts';

/** Requests and responses of the Open Inference Protocol, version 2, with binary data: pure functions of their bytes. */

/** A UserError that is answered with this status. */
export const refusal = (statusCode: number, message: string) =>
  Object.assign(new UserError(message), { statusCode });
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

/** The outputs, and how many numbers a row has of each; `probabilities` has one for each of the K clusters. */
export const OUTPUTS = {
  label: { datatype: 'INT32', array: Int32Array, bytes: 4 },
  confidence: { datatype: 'FP32', array: Float32Array, bytes: 4 },
  outlier_score: { datatype: 'FP64', array: Float64Array, bytes: 8 },
  distance: { datatype: 'FP32', array: Float32Array, bytes: 4 },
  probabilities: { datatype: 'FP32', array: Float32Array, bytes: 4 },
  map_x: { datatype: 'FP32', array: Float32Array, bytes: 4 },
  map_y: { datatype: 'FP32', array: Float32Array, bytes: 4 },
} as const;
/** Those that take time or room, and are given only where they are asked for. */
const ONLY_ASKED: readonly OutputName[] = ['probabilities', ...MAP_COLUMNS];
export type OutputName = keyof typeof OUTPUTS;
export type OutputArray = Int32Array | Float32Array | Float64Array;

/** Bytes of JSON, of which each takes tens of bytes of memory and much of the time of the one thread. */
const MOST_JSON = 16 << 20;
/** Characters of a number and what is between two, in JSON. */
const TEXT_BYTES = 21;
/** Bytes of a response. */
const MOST_RESPONSE = 64 << 20;

const size = z.int('must be a whole number').check(z.nonnegative('must not be negative'));
const isOn = z.optional(z.boolean('must be true or false'));
const name = z.string('must be text').check(z.maxLength(1000, 'is longer than 1,000 characters'));
const list = <T extends z.ZodMiniType>(of: T) => z.array(of, 'must be a list');
const object = <T extends z.core.$ZodLooseShape>(shape: T) => z.object(shape, 'must be an object');
const request = object({
  id: z.optional(name),
  inputs: list(
    object({
      name,
      shape: list(size),
      datatype: name,
      // Not looked at here: it may have millions of numbers.
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

/**
 * Reads a request. `jsonLength`: the bytes of its JSON, behind which are those of the rows; null: all is JSON. A UserError says what is wrong with
 * it; whether values can be labelled is not looked at.
 */
export async function readRequest(
  body: Buffer,
  jsonLength: number | null,
  signature: Signature,
): Promise<InferRequest> {
  if (jsonLength !== null && jsonLength > body.length)
    throw bad(
      `the header Inference-Header-Content-Length is ${jsonLength}, and the body has only ${body.length} bytes`,
    );
  const json = body.subarray(0, jsonLength ?? body.length);
  if (json.length > MOST_JSON)
    throw refusal(
      413,
      `the JSON has more than ${MOST_JSON} bytes: send fewer rows at a time, or binary data`,
    );
  const { id, inputs, outputs, parameters } = await parsed(json);
  if (inputs.length !== 1) throw bad(`the request has ${inputs.length} inputs: send one, called rows`);
  const [input] = inputs;
  const rows = rowsOf(input, signature.columns, body.length);
  const asked = outputs?.map((one) => ({
    name: outputNamed(one.name, signature),
    binary: one.parameters?.binary_data ?? parameters?.binary_data_output ?? false,
  }));
  const usual = signature.outputs
    .filter((output) => !ONLY_ASKED.includes(output))
    .map((output) => ({ name: output, binary: parameters?.binary_data_output ?? false }));
  const wanted = asked ?? usual;
  assertAnswerable(rows, wanted, signature);
  return { id, rows, outputs: wanted, ...valuesOf(input, rows * signature.columns, body, jsonLength) };
}

async function parsed(json: Buffer): Promise<z.infer<typeof request>> {
  let content: unknown;
  try {
    content = await parsedInPieces(json.toString());
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

/** Characters of JSON that are read, and numbers that are written, without giving others their turn. */
const [PIECE_CHARACTERS, PIECE_NUMBERS] = [1 << 18, 1 << 14];

/** Marks a list of pieces of a list. */
const PIECES = Symbol('pieces');

/** What JSON says. A long list of numbers or rows, as the only `data` in it, becomes a list of lists: of pieces of it. */
async function parsedInPieces(text: string): Promise<unknown> {
  const [found, ...others] = text.length > PIECE_CHARACTERS ? text.matchAll(/\\?"data"\s*:\s*\[\s*/g) : [];
  const from = found ? found.index + found[0].length : 0;
  const isNested = text[from] === '[';
  // Of rows the end is that of the last one, too.
  const to = isNested ? from + text.slice(from).search(/\]\s*\]/) + 1 : text.indexOf(']', from);
  if (
    !found ||
    others.length ||
    found[0][0] === '\\' ||
    to <= from ||
    /^\[\s*\[/.test(text.slice(from, from + 9))
  )
    return JSON.parse(text);
  const pieces: unknown[] = Object.assign([], { [PIECES]: true });
  for (let at = from; at < to; ) {
    const after = isNested ? text.indexOf(']', at + PIECE_CHARACTERS) : at + PIECE_CHARACTERS;
    const comma = after < 0 ? -1 : text.indexOf(',', after);
    const end = comma < 0 || comma > to ? to : comma;
    await yieldToEventLoop();
    pieces.push(JSON.parse(`[${text.slice(at, end)}]`));
    at = end + 1;
  }
  return JSON.parse(text.slice(0, from) + text.slice(to), (key, value) => (key === 'data' ? pieces : value));
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

function assertAnswerable(rows: number, outputs: InferRequest['outputs'], { k }: Signature): void {
  const rowBytes = outputs.reduce(
    (sum, { name, binary }) =>
      sum + (binary ? OUTPUTS[name].bytes : TEXT_BYTES) * (name === 'probabilities' ? k : 1),
    0,
  );
  if (rows * rowBytes > MOST_RESPONSE)
    throw bad(
      `the answer for ${rows} rows would be too long: send ${Math.floor(MOST_RESPONSE / rowBytes)} rows at most, or ask for binary data`,
    );
}

/** The numbers of an input, which are `count`. */
function valuesOf(input: Input, count: number, body: Buffer, jsonLength: number | null) {
  const { name, datatype, data, parameters } = input;
  const descr = INPUT_TYPES.get(datatype);
  if (!descr)
    throw bad(
      `${name} has the datatype ${datatype}, and must have one of ${[...INPUT_TYPES.keys()].join(', ')}`,
    );
  const bytes = parameters?.binary_data_size;
  if (bytes === undefined) {
    if (jsonLength !== null && jsonLength < body.length)
      throw bad(`there are bytes behind the JSON: ${name} needs the parameter binary_data_size`);
    const values = new Float32Array(count);
    const sent = (at: number) => numberAt(data, at);
    const columns = input.shape.at(-1)!;
    if (flatten(data, values, { name, columns }, 0, MOST_DEPTH) !== count)
      throw wrongCount(name, input.shape);
    return { values, sent };
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
  if (bytes !== count * dtype.size) throw wrongCount(name, input.shape);
  // A copy, where the numbers are aligned.
  const stored = decode(Uint8Array.from(body.subarray(start)), dtype);
  const values = stored instanceof Float32Array ? stored.slice() : Float32Array.from(stored);
  return { values, sent: (at: number) => stored[at] };
}

/** Of lists in lists. */
const MOST_DEPTH = 3;
const wrongCount = (name: string, shape: number[]) =>
  bad(`${name} has not as much data as its shape [${shape}] says`);

/** Copies the numbers of a list, of lists in it up to this depth, from place `at` on; returns the place after them. */
function flatten(
  data: unknown,
  out: Float32Array,
  of: { name: string; columns: number },
  at: number,
  depth: number,
): number {
  const { name, columns } = of;
  if (!Array.isArray(data)) throw bad(`${name} has no data: send a list of numbers`);
  let next = at;
  for (const item of data)
    if (typeof item === 'number') out[next++] = item;
    else if (depth > 1 && Array.isArray(item)) {
      const before = next;
      next = flatten(item, out, of, before, depth - 1);
      if (!(PIECES in data || Array.isArray(item[0]) || next - before === columns))
        throw bad(`${name}: a row has ${next - before} numbers, and must have ${columns}`);
    } else throw bad(`${name}: value ${next} (counted from 0) is not a number`);
  return next;
}

/** The number at this place of a list, or of lists in it. */
const numberAt = (data: unknown, at: number): number => (data as unknown[]).flat(MOST_DEPTH).at(at) as number;

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
  const texts: string[] = [];
  for (const { name, binary, values } of outputs) {
    const width = values.length / rows;
    const shape = name === 'probabilities' ? [rows, width] : [rows];
    const about = `"name":"${name}","datatype":"${OUTPUTS[name].datatype}","shape":[${shape}]`;
    texts.push(
      binary
        ? `{${about},"parameters":{"binary_data_size":${values.byteLength}}}`
        : `{${about},"data":[${await joined(values)}]}`,
    );
  }
  const head = JSON.stringify({ model_name: model, model_version: version, id });
  const json = Buffer.from(`${head.slice(0, -1)},"outputs":[${texts}]}`);
  const binary = outputs.filter((output) => output.binary);
  if (!binary.length) return { body: json, jsonLength: null };
  const parts = binary.map(({ values }) => Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  return { body: Buffer.concat([json, ...parts]), jsonLength: json.length };
}

/** The numbers with commas in between. */
async function joined(values: OutputArray): Promise<string> {
  const pieces: string[] = [];
  for (const { from, to } of ranges(values.length, PIECE_NUMBERS)) {
    await yieldToEventLoop();
    pieces.push(values.subarray(from, to).join());
  }
  return pieces.join();
}
