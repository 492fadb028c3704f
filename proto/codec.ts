import { Packr } from 'msgpackr';
import * as z from 'zod/mini';
import { list } from '../base/schema.ts';
import { yieldToEventLoop } from '../base/slices.ts';
import { oneLine } from '../base/text.ts';
import { MAX_MESSAGE } from './task-limits.ts';
import { arrayOf, bytesIn, bytesOf, DTYPES, dtypeOf, type Tensors } from './tensors.ts';

/** Messages as frames of bytes: header and tensors, with limits before anything is allocated. Which messages there are, messages.ts says. */

const tensorsSchema = list(
  z.object({
    name: z.string().check(z.maxLength(64)),
    dtype: z.enum(DTYPES),
    shape: list(z.int().check(z.nonnegative()), z.maxLength(4)),
    /** The frame in which the tensor starts (the header is 0), and the byte offset in it. */
    frame: z.int().check(z.positive()),
    at: z.int().check(z.nonnegative()),
  }),
);

/** A message that violates the protocol. Its text is one short line. */
export class MalformedMessage extends Error {
  override name = 'MalformedMessage';
}

/** Maximum bytes of a header. Anything larger is rejected before it is decoded. */
export const MAX_HEADER = 4 << 20;
/**
 * Maximum bytes of a frame of tensors, and of any frame that a worker sends. ZeroMQ allocates a frame before the peer has
 * authenticated, so this bounds what an unknown peer's connection can allocate.
 */
export const MAX_FRAME = 256 << 10;

// Plain maps, which any msgpack library can read: no record extension, no shared structures, no references (with which a
// short message can stand for an infinite one). Other libraries send numbers above 2³² as int64.
const packr = new Packr({
  useRecords: false,
  mapsAsObjects: true,
  int64AsType: 'number',
  structuredClone: false,
  // msgpackr would encode `undefined` as an extension. The option is missing in its types.
  ...{ skipValues: [undefined] },
});
const envelope = z.object({ tensors: tensorsSchema });

/** Smaller tensors share frames: an additional frame costs more than a small copy. */
const OWN_FRAME = 64 << 10;
const ALIGNMENT = 8;

/**
 * The frames of a message: the msgpack header, then the tensors, raw and little-endian, in frames of at most `most` bytes.
 * Small tensors share frames, each aligned to 8 bytes; a large one has frames of its own and is not copied.
 */
export function encode(header: object, tensors: Tensors = {}, most = MAX_FRAME): Buffer[] {
  const entries = Object.entries(tensors);
  const isSmall = entries.map(([, { data }]) => data.byteLength < OWN_FRAME);
  const starts: number[] = [];
  let sharedBytes = 0;
  for (const [i, [, { data }]] of entries.entries()) {
    if (!isSmall[i]) continue;
    starts[i] = sharedBytes;
    sharedBytes += Math.ceil(data.byteLength / ALIGNMENT) * ALIGNMENT;
  }
  const shared = Buffer.alloc(sharedBytes);
  const frames = isSmall.includes(true) ? split(shared, most) : [];
  const described = entries.map(([name, { shape, data }], i) => {
    const type = { name, dtype: dtypeOf(data), shape: [...shape] };
    if (isSmall[i]) {
      shared.set(bytesOf(data), starts[i]);
      // A tensor that starts past the last frame is empty.
      const frame = Math.min(Math.floor(starts[i] / most) + 1, frames.length);
      return { ...type, frame, at: starts[i] - (frame - 1) * most };
    }
    frames.push(...split(bytesOf(data), most));
    return { ...type, frame: frames.length - pieces(data.byteLength, most) + 1, at: 0 };
  });
  return [packr.pack({ ...header, tensors: described }), ...frames];
}

const pieces = (bytes: number, most: number) => Math.max(1, Math.ceil(bytes / most));

function split(bytes: Buffer, most: number): Buffer[] {
  if (bytes.byteLength <= most) return [bytes];
  return Array.from({ length: pieces(bytes.byteLength, most) }, (_, i) =>
    bytes.subarray(i * most, (i + 1) * most),
  );
}

/** Returns the header, validated by its schema, and the tensors. Throws MalformedMessage. */
export function decode<T>(schema: z.ZodMiniType<T>, frames: Uint8Array[]): Message<T> {
  const steps = decoding(schema, frames);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Like `decode`, but yields to the event loop while it copies tensors that span many frames. */
export async function decodeInSlices<T>(schema: z.ZodMiniType<T>, frames: Uint8Array[]): Promise<Message<T>> {
  const steps = decoding(schema, frames);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await yieldToEventLoop();
  }
}

interface Message<T> {
  header: T;
  tensors: Tensors;
}

/** Yields after each frame that is copied. */
function* decoding<T>(
  schema: z.ZodMiniType<T>,
  frames: Uint8Array[],
): Generator<undefined, Message<T>, undefined> {
  if (!frames.length) throw new MalformedMessage('no frames');
  if (frames[0].byteLength > MAX_HEADER) throw new MalformedMessage('header too long');
  const bytes = frames.slice(1).reduce((sum, frame) => sum + frame.byteLength, 0);
  if (frames[0].byteLength + bytes > MAX_MESSAGE)
    throw new MalformedMessage(`message too long: ${bytes} bytes in ${frames.length} frames`);
  const problem = whyNotPlain(frames[0]);
  if (problem) throw new MalformedMessage(`header is not plain msgpack: ${problem}`);
  let raw: unknown;
  try {
    raw = packr.unpack(frames[0]);
  } catch {
    throw new MalformedMessage('header is not msgpack');
  }
  const [head, body] = [z.safeParse(schema, raw), z.safeParse(envelope, raw)];
  if (!head.success) throw new MalformedMessage(`header: ${explain(head.error)}`);
  if (!body.success) throw new MalformedMessage(`tensors: ${explain(body.error)}`);
  const described = body.data.tensors;
  if (frames.length - 1 > described.length + Math.floor(bytes / MAX_FRAME))
    throw new MalformedMessage(`${frames.length - 1} frames for ${described.length} tensors`);
  const tensors: Tensors = Object.create(null);
  // Overlapping tensors would need more memory than was sent.
  let left = bytes;
  for (const [i, { name, dtype, shape, frame, at }] of described.entries()) {
    const size = bytesIn(dtype, shape);
    if (!Number.isSafeInteger(size)) throw new MalformedMessage(`tensor ${i}: shape overflows`);
    if (frame >= frames.length || at % ALIGNMENT || at > frames[frame].byteLength)
      throw new MalformedMessage(`tensor ${i}: outside of frame ${frame}`);
    left -= size;
    if (left < 0) throw new MalformedMessage(`tensor ${i}: overlaps others`);
    if (name in tensors) throw new MalformedMessage(`tensor ${i}: duplicate name`);
    const content = yield* readBytes(frames, frame, at, size);
    if (!content) throw new MalformedMessage(`tensor ${i}: its frames are too short`);
    tensors[name] = { shape, data: arrayOf(dtype, shape, content) };
  }
  return { header: head.data, tensors };
}

/** `size` bytes from there on, across frames; null if there are fewer. Copied only if they span several frames. */
function* readBytes(
  frames: Uint8Array[],
  frame: number,
  at: number,
  size: number,
): Generator<undefined, Uint8Array | null, undefined> {
  const first = frames[frame].subarray(at, at + size);
  if (first.byteLength === size) return first;
  const parts = [first];
  let missing = size - first.byteLength;
  for (let i = frame + 1; missing > 0 && i < frames.length; i++) {
    const part = frames[i].subarray(0, missing);
    parts.push(part);
    missing -= part.byteLength;
  }
  if (missing) return null;
  const bytes = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  for (const part of parts) {
    bytes.set(part, filled);
    filled += part.byteLength;
    yield;
  }
  return bytes;
}

/** The path may contain names that the peer chose. */
function explain(error: z.core.$ZodError): string {
  const issue = error.issues[0];
  return oneLine(`${issue.path.join('.') || '(top)'}: ${issue.code}`.slice(0, 120));
}

/** Merges groups of tensors for one message: names become `prefix/name`. */
export function prefixed(parts: Iterable<[string | number, Tensors]>): Tensors {
  const out: Tensors = {};
  for (const [prefix, tensors] of parts)
    for (const [name, value] of Object.entries(tensors)) out[`${prefix}/${name}`] = value;
  return out;
}

/** The reverse of `prefixed` for all prefixes, in time linear in the number of tensors. */
export function byPrefix(tensors: Tensors): Map<string, Tensors> {
  const out = new Map<string, Tensors>();
  for (const [name, value] of Object.entries(tensors)) {
    const end = name.indexOf('/');
    if (end < 0) continue;
    const group = out.get(name.slice(0, end)) ?? (Object.create(null) as Tensors);
    group[name.slice(end + 1)] = value;
    out.set(name.slice(0, end), group);
  }
  return out;
}

/** The tensors under one prefix, without it. */
export function unprefixed(tensors: Tensors, prefix: string | number): Tensors {
  const out: Tensors = Object.create(null);
  const start = `${prefix}/`;
  for (const [name, value] of Object.entries(tensors))
    if (name.startsWith(start)) out[name.slice(start.length)] = value;
  return out;
}

/**
 * Headers may contain nil, booleans, numbers, text, lists, and maps whose keys are text. They are checked token by token
 * before they are decoded: decoders allocate a list by its claimed length, recurse into nested values, and interpret extension
 * types (references, code for records, regular expressions) that this protocol does not use.
 */

/** Maximum nesting of lists and maps. */
export const MAX_DEPTH = 64;
/** Maximum number of values, including the keys of maps. */
export const MAX_VALUES = 1 << 20;

const EXTENSION = 'an extension or binary type';
const CUT = 'truncated, or followed by other bytes';
const KEY = 'a key that is not text';
/** By token 0xc0 … 0xdf: the number of bytes that follow; −n for a text whose length is in n bytes; or why it is rejected. */
const FIXED: (number | string)[] = [
  ...[0, 'an unused type', 0, 0, EXTENSION, EXTENSION, EXTENSION, EXTENSION],
  ...[EXTENSION, EXTENSION, 4, 8, 1, 2, 4, 8],
  ...[1, 2, 4, 8, EXTENSION, EXTENSION, EXTENSION, EXTENSION],
  ...[EXTENSION, -1, -2, -4],
];

/** Why these bytes are not exactly one plain msgpack value; null if they are. Memory use is bounded by MAX_DEPTH. */
export function whyNotPlain(bytes: Uint8Array): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.byteLength;
  /** A stack of the open lists and maps: the number of values still to come, and whether it is a map. */
  const open: number[] = [1];
  const isMap: boolean[] = [false];
  let values = 1;
  let at = 0;
  const begin = (count: number, map: boolean) => {
    values += count;
    open.push(count);
    isMap.push(map);
  };
  const length = (size: number) => {
    const start = at;
    at += size;
    if (at > end) return Infinity;
    return size === 1 ? view.getUint8(start) : size === 2 ? view.getUint16(start) : view.getUint32(start);
  };
  for (;;) {
    while (open.at(-1) === 0) {
      open.pop();
      isMap.pop();
    }
    if (!open.length) return at === end ? null : CUT;
    const isKey = isMap[open.length - 1] && open[open.length - 1] % 2 === 0;
    open[open.length - 1]--;
    if (at >= end) return CUT;
    const token = bytes[at++];
    const isText = (token >= 0xa0 && token < 0xc0) || (token >= 0xd9 && token <= 0xdb);
    if (isKey && !isText) return KEY;
    if (token < 0x80 || token >= 0xe0) continue;
    if (token < 0x90) begin(2 * (token & 0x0f), true);
    else if (token < 0xa0) begin(token & 0x0f, false);
    else if (token < 0xc0) at += token & 0x1f;
    else if (token >= 0xde) begin(2 * length(token === 0xde ? 2 : 4), true);
    else if (token >= 0xdc) begin(length(token === 0xdc ? 2 : 4), false);
    else {
      const size = FIXED[token - 0xc0];
      if (typeof size === 'string') return size;
      // Not in one expression: `length` advances `at`, too.
      const skipped = size < 0 ? length(-size) : size;
      at += skipped;
    }
    // The outermost entry stands for the value itself.
    if (open.length > MAX_DEPTH + 1) return 'nested too deeply';
    if (values > MAX_VALUES) return 'too many values';
  }
}
