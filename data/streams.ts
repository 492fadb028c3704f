import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { readFully, withFile } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { fileVersion } from './cache.ts';

/** The bytes of a file, unpacked where it is compressed, as a stream. */

export type Compression = 'none' | 'gzip' | 'zstd';

const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** How the file with these first bytes is compressed. */
export function compressionOf(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  // pzstd begins with a frame that is to be skipped.
  const isSkipped = head[0] >> 4 === 5 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18;
  return isSkipped || ZSTD.equals(head.subarray(0, ZSTD.length)) ? 'zstd' : 'none';
}

/** The first bytes of a file, as they are in it. */
export const headOf = (path: string, bytes: number): Buffer =>
  withFile(path, (file) => {
    const head = Buffer.alloc(Math.min(file.size, bytes));
    readFully(file, head, 0);
    return head;
  });

/** Its bytes, unpacked. Rejects with a UserError if it is compressed and damaged. */
export async function* unpacked(path: string): AsyncGenerator<Buffer> {
  const compression = compressionOf(headOf(path, 4));
  if (compression === 'none') yield* createReadStream(path);
  else if (compression === 'gzip') yield* gunzipped(path);
  else yield* unzstd(path);
}

/** At least `bytes` bytes from its start, unpacked; fewer if it has fewer. */
export async function unpackedHead(path: string, bytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of unpacked(path)) {
    pieces.push(piece);
    length += piece.length;
    if (length >= bytes) break;
  }
  return Buffer.concat(pieces);
}

async function* gunzipped(path: string): AsyncGenerator<Buffer> {
  const file = createReadStream(path);
  const gunzip = createGunzip();
  file.on('error', (error) => gunzip.destroy(error)).pipe(gunzip);
  try {
    yield* gunzip;
  } catch (error) {
    throw String((error as NodeJS.ErrnoException).code).startsWith('Z_') ? damaged(path, error) : error;
  } finally {
    file.destroy();
  }
}

async function* unzstd(path: string): AsyncGenerator<Buffer> {
  const unpacker = (await zstdUnpackers())();
  try {
    for await (const piece of createReadStream(path))
      for (const { buffer, byteOffset, length } of unpacker.push(piece))
        yield Buffer.from(buffer, byteOffset, length);
    unpacker.end();
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall ? error : damaged(path, error);
  }
}

const damaged = (path: string, cause: unknown) =>
  new UserError(`${path} is damaged or truncated: its compressed bytes cannot be unpacked; copy it again`, {
    cause,
  });

/** Which characters the bytes of a text table are: UTF-8, UTF-16, or what Windows and Excel write in the west. */

export const UTF8 = 'utf-8';
const WESTERN = 'windows-1252';

/** Bytes at the start of a file from which it is told whether every other one is zero. */
const SNIFFED_BYTES = 4096;
/** The characters 0x80 to 0x9f of WESTERN, which are others in ISO 8859-1; some versions of Node.js take one for the other. */
const WESTERN_ONLY = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

/** By version of the file, as it may have to be read whole. */
const found = new Map<string, string>();

/** The encoding of a text file: told from its first bytes; else UTF-8 if all of it is that, or WESTERN. */
export async function encodingOf(path: string): Promise<string> {
  const head = await unpackedHead(path, SNIFFED_BYTES);
  const utf16 = utf16Of(head);
  if (utf16) return utf16;
  const version = fileVersion(path);
  const encoding = found.get(version) ?? ((await isUtf8(path)) ? UTF8 : WESTERN);
  found.set(version, encoding);
  return encoding;
}

/** Which of the two UTF-16 a text of these first bytes is, by its mark or by the zeros of common letters; null if neither. */
export function utf16Of(head: Buffer): string | null {
  const mark = head.toString('latin1', 0, 2);
  if (mark === '\xff\xfe') return 'utf-16le';
  if (mark === '\xfe\xff') return 'utf-16be';
  const zeros = [0, 0];
  for (const [i, byte] of head.entries()) if (byte === 0) zeros[i % 2]++;
  const [even, odd] = zeros;
  if (odd > head.length / 4 && !even) return 'utf-16le';
  return even > head.length / 4 && !odd ? 'utf-16be' : null;
}

/** The error for a text in UTF-16 where only UTF-8 can be read. */
export const utf16Error = (name: string): UserError =>
  new UserError(`${name} is UTF-16, and must be UTF-8: convert it, as with iconv -f UTF-16 -t UTF-8`);

async function isUtf8(path: string): Promise<boolean> {
  const decoder = new TextDecoder(UTF8, { fatal: true });
  try {
    for await (const piece of unpacked(path)) decoder.decode(piece, { stream: true });
    decoder.decode();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_ENCODING_INVALID_ENCODED_DATA') throw error;
    return false;
  }
}

/** Is this the beginning of UTF-8? Its last character may not be whole. */
export function beginsAsUtf8(head: Buffer): boolean {
  try {
    new TextDecoder(UTF8, { fatal: true }).decode(head, { stream: true });
    return !utf16Of(head.subarray(0, SNIFFED_BYTES));
  } catch {
    return false;
  }
}

/** What decodes pieces of a text. UserError for an encoding that is not known; its function throws one for bytes that are not of it. */
export function textDecoder(path: string, encoding: string): (piece?: Uint8Array) => string {
  let decoder: TextDecoder;
  try {
    decoder = new TextDecoder(encoding.replaceAll('_', '-'), { fatal: true });
  } catch {
    throw new UserError(`--encoding ${encoding} is not known: name one such as utf-8, cp1252 or utf-16le`);
  }
  if (decoder.encoding === WESTERN)
    return (piece = new Uint8Array()) =>
      Buffer.from(piece)
        .toString('latin1')
        .replace(/[\x80-\x9f]/g, (character) => WESTERN_ONLY[character.charCodeAt(0) - 0x80]);
  return (piece) => {
    try {
      return piece ? decoder.decode(piece, { stream: true }) : decoder.decode();
    } catch (error) {
      throw new UserError(`${path} has bytes that are not ${encoding}: name its encoding with --encoding`, {
        cause: error,
      });
    }
  };
}

/** The bytes of a text file in UTF-8. */
export async function* inUtf8(path: string, encoding: string): AsyncGenerator<Buffer> {
  const decode = textDecoder(path, encoding);
  for await (const piece of unpacked(path)) yield Buffer.from(decode(piece));
  yield Buffer.from(decode());
}

/** Zstandard, unpacked by fzstd, which looks at neither lengths nor checksums: those that a frame has are compared here (RFC 8878, 3.1). */

const MAGIC = 0xfd2fb528;
/** Frames without data, but for the last four bits. */
const SKIPPABLE = 0x184d2a5;
const PIECE_BYTES = 1 << 16;

/** Methods throw an Error if the bytes are damaged. */
export interface Unpacker {
  /** What these bytes, which follow those before, unpack to, piece by piece: few bytes may be very many. All of it has to be taken. */
  push(bytes: Uint8Array): Iterable<Uint8Array>;
  /** To be called after the last ones. */
  end(): void;
}

/** Loads what makes an unpacker, for each file a new one. */
export async function zstdUnpackers(): Promise<() => Unpacker> {
  const { Decompress } = await import('fzstd');
  const { create64 } = await (await import('xxhash-wasm')).default();

  /** Asks for so many bytes at a time, gets them, and puts what they unpack to into `out`. True for the first ones of a frame. */
  function* frames(out: Uint8Array[]): Generator<[bytes: number, isFirst?: true], never, Uint8Array> {
    for (;;) {
      const head = yield [5, true];
      const magic = Number(littleEndian(head.subarray(0, 4)));
      if (magic >>> 4 === SKIPPABLE) {
        const size = littleEndian(Buffer.concat([head.subarray(4), yield [3]]));
        for (let left = Number(size); left > 0; ) left -= (yield [Math.min(left, PIECE_BYTES)]).length;
        continue;
      }
      if (magic !== MAGIC) throw new Error('it has bytes that are no frame');
      const flags = head[4];
      if (flags & 3) throw new Error('it was packed with a dictionary');
      const isSingle = (flags >> 5) & 1;
      const sizeBytes = flags >> 6 ? 1 << (flags >> 6) : isSingle;
      const rest = yield [1 - isSingle + sizeBytes];
      const size = littleEndian(rest.subarray(1 - isSingle)) + (sizeBytes === 2 ? 256n : 0n);
      const hash = create64();
      let length = 0n;
      const stream = new Decompress((bytes) => {
        hash.update(bytes);
        length += BigInt(bytes.length);
        // Their memory is used again.
        out.push(bytes.slice());
      });
      stream.push(Buffer.concat([head, rest]));
      for (let isLast = false; !isLast; ) {
        const header = yield [3];
        const bits = Number(littleEndian(header));
        isLast = (bits & 1) === 1;
        const isOneByteRepeated = ((bits >> 1) & 3) === 1;
        stream.push(Buffer.concat([header, yield [isOneByteRepeated ? 1 : bits >> 3]]));
      }
      const checksum = yield [flags & 4];
      stream.push(checksum, true);
      if (sizeBytes && size !== length) throw new Error('a frame is not as long as it says');
      if (checksum.length && (hash.digest() & 0xffffffffn) !== littleEndian(checksum))
        throw new Error('its checksum differs');
    }
  }

  return () => {
    const out: Uint8Array[] = [];
    const steps = frames(out);
    let rest: Uint8Array = new Uint8Array();
    let [needed, isFirst] = steps.next().value;
    return {
      *push(bytes) {
        rest = rest.length ? Buffer.concat([rest, bytes]) : bytes;
        while (rest.length >= needed) {
          const piece = rest.subarray(0, needed);
          rest = rest.subarray(needed);
          [needed, isFirst] = steps.next(piece).value;
          yield* out.splice(0);
        }
      },
      end() {
        if (!isFirst || rest.length) throw new Error('it ends too early');
      },
    };
  };
}

const littleEndian = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
