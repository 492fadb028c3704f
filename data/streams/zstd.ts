/** Zstandard, unpacked by fzstd, which looks at neither lengths nor checksums: those that a frame has are compared here (RFC 8878, 3.1). */

const MAGIC = 0xfd2fb528;
/** Frames without data, but for the last four bits. */
const SKIPPABLE = 0x184d2a5;

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

  const startFrame = ({ checksumBytes, size }: FrameHeader) => {
    const hash = create64();
    let out: Uint8Array[] = [];
    let length = 0n;
    const stream = new Decompress((bytes) => {
      hash.update(bytes);
      length += BigInt(bytes.length);
      // Their memory is used again.
      out.push(bytes.slice());
    });
    const push = (bytes: Uint8Array, isLast: boolean) => {
      out = [];
      stream.push(bytes, isLast);
      return out;
    };
    return {
      add: (bytes: Uint8Array) => push(bytes, false),
      checksumBytes,
      finish(checksum: Uint8Array) {
        const rest = push(checksum, true);
        if (size !== null && size !== length) throw new Error('a frame is not as long as it says');
        if (checksum.length && (hash.digest() & 0xffffffffn) !== littleEndian(checksum))
          throw new Error('its checksum differs');
        return rest;
      },
    };
  };

  return () => {
    let rest: Uint8Array = new Uint8Array();
    let frame: ReturnType<typeof startFrame> | null = null;
    let isLastBlock = false;
    let skip = 0;
    /** Of the next piece, a header, block or checksum, the length and what it unpacks to; null while it is not whole. */
    const next = (): { length: number; out: Uint8Array[] } | null => {
      if (frame && isLastBlock) {
        const length = frame.checksumBytes;
        if (rest.length < length) return null;
        const out = frame.finish(rest.subarray(0, length));
        frame = null;
        return { length, out };
      }
      if (frame) {
        const length = blockLength(rest);
        if (length > rest.length) return null;
        isLastBlock = (rest[0] & 1) === 1;
        return { length, out: frame.add(rest.subarray(0, length)) };
      }
      const header = headerOf(rest);
      if (!header) return null;
      const { length } = header;
      skip = header.skip;
      if (skip) return { length, out: [] };
      frame = startFrame(header);
      isLastBlock = false;
      return { length, out: frame.add(rest.subarray(0, length)) };
    };
    return {
      *push(bytes) {
        rest = rest.length ? Buffer.concat([rest, bytes]) : bytes;
        for (;;) {
          const skipped = Math.min(skip, rest.length);
          skip -= skipped;
          rest = rest.subarray(skipped);
          const piece = next();
          if (!piece) return;
          rest = rest.subarray(piece.length);
          yield* piece.out;
        }
      },
      end() {
        if (frame || rest.length || skip) throw new Error('it ends too early');
      },
    };
  };
}

interface FrameHeader {
  length: number;
  checksumBytes: number;
  /** Bytes that the frame unpacks to; null where it does not say. */
  size: bigint | null;
  /** Bytes behind the header of a frame without data. */
  skip: number;
}

/** The header that begins here; null while it is not whole. */
function headerOf(bytes: Uint8Array): FrameHeader | null {
  if (bytes.length < 8) return null;
  const magic = Number(littleEndian(bytes.subarray(0, 4)));
  if (magic >>> 4 === SKIPPABLE)
    return { length: 8, checksumBytes: 0, size: null, skip: Number(littleEndian(bytes.subarray(4, 8))) };
  if (magic !== MAGIC) throw new Error('it has bytes that are no frame');
  const flags = bytes[4];
  if (flags & 3) throw new Error('it was packed with a dictionary');
  const isSingle = (flags >> 5) & 1;
  const sizeBytes = flags >> 6 ? 1 << (flags >> 6) : isSingle;
  const at = 6 - isSingle;
  const length = at + sizeBytes;
  if (bytes.length < length) return null;
  const size = littleEndian(bytes.subarray(at, length)) + (sizeBytes === 2 ? 256n : 0n);
  return { length, checksumBytes: flags & 4, size: sizeBytes ? size : null, skip: 0 };
}

/** Of the block that begins here, with its own header; infinite while that is not whole. */
function blockLength(bytes: Uint8Array): number {
  if (bytes.length < 3) return Number.POSITIVE_INFINITY;
  const header = Number(littleEndian(bytes.subarray(0, 3)));
  const isOneByteRepeated = ((header >> 1) & 3) === 1;
  return 3 + (isOneByteRepeated ? 1 : header >> 3);
}

const littleEndian = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
