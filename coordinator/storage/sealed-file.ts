import { createHash } from 'node:crypto';
import { ranges, yieldToEventLoop } from '../../base/slices.ts';
import { UserError } from '../../base/user-error.ts';
import { MAX_MESSAGE } from '../../proto/codec.ts';

/** Files that hold the frames of a message (proto/codec.ts) so that damage is noticed: magic, version, lengths, frames, SHA-256. */

/** The file is corrupt, or is not a checkpoint. */
export class DamagedCheckpoint extends Error {}
/** The file is intact, but was written in another format version. */
export class NewerCheckpoint extends Error {}

/** What a user is told of a file in another format version. */
export const otherVersion = (path: string, { message }: NewerCheckpoint): UserError =>
  new UserError(`${path} was written by another version of dpmesh (${message}): resume with that version`);

/** Bytes of version and number of frames; the magic precedes them, and 4 bytes for the length of each frame follow. */
const FIXED_BYTES = 8;
/** SHA-256 of everything before it, in every version, so that damage can be distinguished from another version. */
const CHECKSUM_BYTES = 32;
/** Bytes that are hashed without yielding. */
const HASHED_AT_ONCE = 1 << 20;

/** The parts of the file, in order. */
export async function sealed(magic: Buffer, version: number, frames: Uint8Array[]): Promise<Uint8Array[]> {
  const start = magic.length + FIXED_BYTES;
  const head = Buffer.alloc(start + 4 * frames.length);
  magic.copy(head);
  head.writeUInt32LE(version, magic.length);
  head.writeUInt32LE(frames.length, magic.length + 4);
  frames.forEach((frame, i) => {
    head.writeUInt32LE(frame.byteLength, start + 4 * i);
  });
  const parts = [head, ...frames];
  if (parts.reduce((sum, part) => sum + part.byteLength, CHECKSUM_BYTES) > MAX_MESSAGE)
    throw new Error('the state of the run is larger than a checkpoint can be');
  const checksum = createHash('sha256');
  for (const part of parts)
    for (const { from, to } of ranges(part.byteLength, HASHED_AT_ONCE)) {
      await yieldToEventLoop();
      checksum.update(part.subarray(from, to));
    }
  return [...parts, checksum.digest()];
}

/** What `read` makes of the frames. Throws DamagedCheckpoint, also where `read` throws, or NewerCheckpoint. */
export function unsealed<T>(magic: Buffer, version: number, bytes: Buffer, read: (frames: Buffer[]) => T): T {
  const start = magic.length + FIXED_BYTES;
  const end = bytes.length - CHECKSUM_BYTES;
  if (end < start || !bytes.subarray(0, magic.length).equals(magic))
    throw new DamagedCheckpoint('it is not a checkpoint');
  const checksum = createHash('sha256').update(bytes.subarray(0, end)).digest();
  if (!checksum.equals(bytes.subarray(end))) throw new DamagedCheckpoint('its checksum does not match');
  const own = bytes.readUInt32LE(magic.length);
  if (own !== version) throw new NewerCheckpoint(`it has format ${own}, this dpmesh reads ${version}`);
  try {
    return read(framesOf(bytes.subarray(0, end), magic.length));
  } catch (error) {
    throw new DamagedCheckpoint(`its content is inconsistent (${(error as Error).message})`);
  }
}

function framesOf(bytes: Buffer, magic: number): Buffer[] {
  const frames: Buffer[] = [];
  const count = bytes.readUInt32LE(magic + 4);
  const start = magic + FIXED_BYTES;
  let at = start + 4 * count;
  for (let i = 0; i < count; i++) {
    const length = bytes.readUInt32LE(start + 4 * i);
    frames.push(bytes.subarray(at, at + length));
    at += length;
  }
  if (at !== bytes.length) throw new RangeError(`${at} bytes expected, ${bytes.length} present`);
  return frames;
}
