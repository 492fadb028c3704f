import { Packr } from 'msgpackr';
import * as z from 'zod/mini';
import { giveWay } from '../base/slices.ts';
import { tensorsSchema } from './messages.ts';
import { whyNotPlain } from './msgpack.ts';
import { arrayOf, bytesIn, bytesOf, dtypeOf, type Tensors } from './tensors.ts';

/** A message that is not what the protocol says; `reason` is short and bounded, for counting. */
export class MalformedMessage extends Error {
  override name = 'MalformedMessage';
}

/** Largest header, largest message: a peer that sends more is refused before anything is decoded. */
export const MAX_HEADER = 4 << 20;
export const MAX_MESSAGE = 1 << 30;
/**
 * Largest frame of tensors, and of all that a worker sends. ZeroMQ takes memory for a frame before it knows whose it is:
 * this is what a stranger's connection can take.
 */
export const MAX_FRAME = 256 << 10;

// Plain maps, so that any msgpack library reads them: no record extension, no shared structures, no references (a
// short message of these stands for one without end). Other libraries send what is above 2³² as int64.
const packr = new Packr({
  useRecords: false,
  mapsAsObjects: true,
  int64AsType: 'number',
  structuredClone: false,
  // Which would be an extension. Not among the types of its options.
  ...{ skipValues: [undefined] },
});
const envelope = z.object({ tensors: tensorsSchema });

/** Tensors below this many bytes share a frame: a frame costs more than a small copy. */
const OWN_FRAME = 64 << 10;
const ALIGNMENT = 8;

/**
 * Frames of a message: the msgpack header, then the tensors, raw and little-endian. Small ones share frames, each at
 * a multiple of 8 bytes; a large one has frames of its own, of at most `most` bytes, and is not copied.
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
  const frames = isSmall.includes(true) ? cutUp(shared, most) : [];
  const described = entries.map(([name, { shape, data }], i) => {
    const about = { name, dtype: dtypeOf(data), shape: [...shape] };
    if (isSmall[i]) {
      shared.set(bytesOf(data), starts[i]);
      // What comes to lie behind the last byte is empty.
      const frame = Math.min(Math.floor(starts[i] / most) + 1, frames.length);
      return { ...about, frame, at: starts[i] - (frame - 1) * most };
    }
    frames.push(...cutUp(bytesOf(data), most));
    return { ...about, frame: frames.length - pieces(data.byteLength, most) + 1, at: 0 };
  });
  return [packr.pack({ ...header, tensors: described }), ...frames];
}

const pieces = (bytes: number, most: number) => Math.max(1, Math.ceil(bytes / most));

function cutUp(bytes: Buffer, most: number): Buffer[] {
  if (bytes.byteLength <= most) return [bytes];
  return Array.from({ length: pieces(bytes.byteLength, most) }, (_, i) =>
    bytes.subarray(i * most, (i + 1) * most),
  );
}

/** The header, checked by its schema, and the tensors. Throws a MalformedMessage and changes nothing. */
export function decode<T>(schema: z.ZodMiniType<T>, frames: Uint8Array[]): Message<T> {
  const steps = decoding(schema, frames);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** `decode`, but the event loop goes on while tensors of many frames are copied. */
export async function decodeInSlices<T>(schema: z.ZodMiniType<T>, frames: Uint8Array[]): Promise<Message<T>> {
  const steps = decoding(schema, frames);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await giveWay();
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
  if (frames[0].byteLength + bytes > MAX_MESSAGE) throw new MalformedMessage('message too long');
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
    throw new MalformedMessage(`${described.length} tensors announced, ${frames.length - 1} frames behind`);
  const tensors: Tensors = Object.create(null);
  // Tensors that lie over one another would ask for more memory than was sent.
  let left = bytes;
  for (const [i, { name, dtype, shape, frame, at }] of described.entries()) {
    const size = bytesIn(dtype, shape);
    if (!Number.isSafeInteger(size)) throw new MalformedMessage(`tensor ${i}: shape overflows`);
    if (frame >= frames.length || at % ALIGNMENT || at > frames[frame].byteLength)
      throw new MalformedMessage(`tensor ${i}: not within frame ${frame}`);
    left -= size;
    if (left < 0) throw new MalformedMessage(`tensor ${i}: lies over others`);
    if (name in tensors) throw new MalformedMessage(`tensor ${i}: a second one of its name`);
    const found = yield* stretch(frames, frame, at, size);
    if (!found) throw new MalformedMessage(`tensor ${i}: not within its frames`);
    tensors[name] = { shape, data: arrayOf(dtype, shape, found) };
  }
  return { header: head.data, tensors };
}

/** So many bytes from there on, in however many frames they lie; null if there are fewer. Copied only if in several. */
function* stretch(
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
  const whole = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  for (const part of parts) {
    whole.set(part, filled);
    filled += part.byteLength;
    yield;
  }
  return whole;
}

function explain(error: z.core.$ZodError): string {
  const issue = error.issues[0];
  return `${issue.path.join('.') || '(top)'}: ${issue.code}`.slice(0, 120);
}

/** Tensors of several owners in one message: names become `prefix/name`. */
export function prefixed(parts: Iterable<[string | number, Tensors]>): Tensors {
  const out: Tensors = {};
  for (const [prefix, tensors] of parts)
    for (const [name, value] of Object.entries(tensors)) out[`${prefix}/${name}`] = value;
  return out;
}

/** The reverse for all prefixes at once: however many there are, each tensor is looked at once. */
export function byPrefix(tensors: Tensors): Map<string, Tensors> {
  const out = new Map<string, Tensors>();
  for (const [name, value] of Object.entries(tensors)) {
    const end = name.indexOf('/');
    if (end < 0) continue;
    const own = out.get(name.slice(0, end)) ?? (Object.create(null) as Tensors);
    own[name.slice(end + 1)] = value;
    out.set(name.slice(0, end), own);
  }
  return out;
}

/** What stands under one prefix. */
export function unprefixed(tensors: Tensors, prefix: string | number): Tensors {
  const out: Tensors = Object.create(null);
  const start = `${prefix}/`;
  for (const [name, value] of Object.entries(tensors))
    if (name.startsWith(start)) out[name.slice(start.length)] = value;
  return out;
}
