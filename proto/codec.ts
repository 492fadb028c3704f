import { Packr } from 'msgpackr';
import * as z from 'zod/mini';
import { tensorsSchema } from './messages.ts';
import { arrayOf, bytesIn, bytesOf, dtypeOf, type Tensors } from './tensors.ts';

/** A message that is not what the protocol says; `reason` is short and bounded, for counting. */
export class MalformedMessage extends Error {
  override name = 'MalformedMessage';
}

/** Largest header, largest message: a peer that sends more is refused before anything is decoded. */
export const MAX_HEADER = 4 << 20;
export const MAX_MESSAGE = 1 << 30;

// Plain maps, so that any msgpack library reads them: no record extension, no shared structures. Other libraries
// send what is above 2³² as int64.
const packr = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });
const envelope = z.object({ tensors: tensorsSchema });

/** Tensors below this many bytes share a frame: a frame costs more than a small copy. */
const OWN_FRAME = 64 << 10;
const ALIGNMENT = 8;

/**
 * Frames of a message: the msgpack header, then the tensors, raw and little-endian. Small ones share frame 1, each at
 * a multiple of 8 bytes; a large one has a frame of its own and is not copied.
 */
export function encode(header: object, tensors: Tensors = {}): Buffer[] {
  const entries = Object.entries(tensors);
  const isSmall = entries.map(([, { data }]) => data.byteLength < OWN_FRAME);
  let sharedBytes = 0;
  let own = isSmall.includes(true) ? 2 : 1;
  const described = entries.map(([name, { shape, data }], i) => {
    const place = isSmall[i] ? { frame: 1, at: sharedBytes } : { frame: own++, at: 0 };
    if (isSmall[i]) sharedBytes += Math.ceil(data.byteLength / ALIGNMENT) * ALIGNMENT;
    return { name, dtype: dtypeOf(data), shape: [...shape], ...place };
  });
  const shared = Buffer.alloc(sharedBytes);
  const frames = [packr.pack({ ...header, tensors: described })];
  if (isSmall.includes(true)) frames.push(shared);
  entries.forEach(([, { data }], i) => {
    if (isSmall[i]) shared.set(bytesOf(data), described[i].at);
    else frames.push(bytesOf(data));
  });
  return frames;
}

/** The header, checked by its schema, and the tensors. Throws a MalformedMessage and changes nothing. */
export function decode<T>(schema: z.ZodMiniType<T>, frames: Uint8Array[]): { header: T; tensors: Tensors } {
  if (!frames.length) throw new MalformedMessage('no frames');
  if (frames[0].byteLength > MAX_HEADER) throw new MalformedMessage('header too long');
  if (frames.reduce((sum, frame) => sum + frame.byteLength, 0) > MAX_MESSAGE)
    throw new MalformedMessage('message too long');
  let raw: unknown;
  try {
    raw = packr.unpack(frames[0]);
  } catch {
    throw new MalformedMessage('header is not msgpack');
  }
  const [head, body] = [check(schema, raw), check(envelope, raw)];
  if (!head.success) throw new MalformedMessage(`header: ${explain(head.error)}`);
  if (!body.success) throw new MalformedMessage(`tensors: ${explain(body.error)}`);
  const described = body.data.tensors;
  if (frames.length - 1 > described.length)
    throw new MalformedMessage(`${described.length} tensors announced, ${frames.length - 1} frames behind`);
  const tensors: Tensors = Object.create(null);
  // Tensors that lie over one another would ask for more memory than was sent.
  let left = frames.slice(1).reduce((sum, frame) => sum + frame.byteLength, 0);
  described.forEach(({ name, dtype, shape, frame, at }, i) => {
    const bytes = bytesIn(dtype, shape);
    if (!Number.isSafeInteger(bytes)) throw new MalformedMessage(`tensor ${i}: shape overflows`);
    if (frame >= frames.length || at % ALIGNMENT || at + bytes > frames[frame].byteLength)
      throw new MalformedMessage(`tensor ${i}: not within frame ${frame}`);
    left -= bytes;
    if (left < 0) throw new MalformedMessage(`tensor ${i}: lies over others`);
    if (name in tensors) throw new MalformedMessage(`tensor ${i}: a second one of its name`);
    tensors[name] = { shape, data: arrayOf(dtype, shape, frames[frame].subarray(at, at + bytes)) };
  });
  return { header: head.data, tensors };
}

/** A header nested deeper than the stack is as malformed as any other. */
function check<T>(schema: z.ZodMiniType<T>, raw: unknown) {
  try {
    return z.safeParse(schema, raw);
  } catch {
    throw new MalformedMessage('header: nested too deep');
  }
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
