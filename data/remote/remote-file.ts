import { randomUUID } from 'node:crypto';
import pRetry from 'p-retry';
import { UserError } from '../../base/user-error.ts';
import { elementCount } from '../../model/arrays.ts';
import { decode, decodeInto, dtypeName } from '../arrays/dtype.ts';
import { assertComplete, assertNumeric, assertTable, isNpy, npyHeaderIn } from '../npy.ts';
import type { Latency, Source } from '../source.ts';
import { parseAddress, Unreachable } from './address.ts';
import { type Store, storeOf } from './store.ts';

/** Parts of a remote file, and the rows of an .npy by them, with retries and a check that it stays the same. How requests are made and signed, store.ts knows. */

/** At 100 MB/s and a round trip of 20 ms, a gap takes about as long as a sixteenth of a request. */
const LATENCY: Latency = { gapBytes: 1 << 17, spanBytes: 2 << 20, aheadBytes: 16 << 20, requests: 16 };

/** Can the rows of this file be read in place: is it an .npy in C order? A UserError if it is an .npy of which no parts can be read. */
export function isInPlace(file: RemoteFile): boolean {
  if (!isNpy(file.head)) return false;
  if (!file.hasRanges) throw noRanges(file.name);
  return !arrayIn(file).fortran;
}

/** Opens the rows of an .npy in C order, which are read part by part. Rejects with a UserError as `openSource` does. */
export async function openRemoteNpy(address: string, headBytes?: number): Promise<Source> {
  const file = await openRemote(address, { headBytes });
  if (!isInPlace(file)) throw new UserError(`${file.name} is no .npy in C order any more: start again`);
  const array = arrayIn(file);
  assertNumeric(array);
  assertTable(array);
  const { dtype, offset, shape } = array;
  const [rows] = shape;
  const dim = elementCount(shape.slice(1));
  const fill = async <T extends Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>>(
    out: T,
    start: number,
  ): Promise<T> => {
    if (!(start >= 0 && start * dim + out.length <= rows * dim))
      throw new RangeError(`rows from ${start} on are outside of ${file.name}, which has ${rows} rows`);
    const bytes = await file.read(offset + start * dim * dtype.size, out.length * dtype.size);
    decodeInto(out, bytes, dtype);
    return out;
  };
  return {
    rows,
    dim,
    dtype: dtypeName(dtype),
    ...(shape.length > 2 && { shape: shape.slice(1) }),
    latency: LATENCY,
    async read(start, count, into) {
      if (dtype.kind !== 'f' || dtype.size !== 4) return fill(into ?? new Float32Array(count * dim), start);
      const bytes = await file.read(offset + start * dim * 4, count * dim * 4);
      return decode(bytes, dtype) as Float32Array;
    },
    stored: (row) => fill(new Float64Array(dim), row),
    assertSameFile: file.assertSame,
    close() {},
  };
}

const arrayIn = ({ name, size, head }: RemoteFile) =>
  assertComplete({ path: name, ...npyHeaderIn(name, Buffer.from(head), size!) }, size!);

/** A file of a store or of the web, of which parts can be read for as long as it does not change. */
export interface RemoteFile {
  /** Its address, for messages. */
  readonly name: string;
  /** Bytes; null where the server does not say. */
  readonly size: number | null;
  /** Differs when the content may: each time, where the server does not say. */
  readonly version: string;
  /** Its first bytes. */
  readonly head: Uint8Array;
  /** The server can send parts of it. */
  readonly hasRanges: boolean;
  /** Bytes `at … at + length − 1`. Rejects with a UserError if the file has changed, or cannot be read. */
  read(at: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Hands all bytes to `take`, in order, each with its place; where a server cannot send parts, it may begin again. */
  copy(take: (bytes: Uint8Array, at: number) => void, signal?: AbortSignal): Promise<void>;
  /** Rejects with a UserError if it is not the file that was opened any more. */
  assertSame(): Promise<void>;
}

/** A failure that may be gone when the request is sent again. */
class Transient extends Error {}

/** How patient a reader is. */
export interface Patience {
  /** Requests in a row that bring nothing, after the first, before the reader gives up. */
  retries: number;
  /** The pause before the first of them, doubled each time, and up to twice as long by chance, lest readers come back in step. */
  pauseMs: number;
  longestPauseMs: number;
  /** Time without a byte after which a request is given up. */
  stallMs: number;
}

const PATIENCE: Patience = { retries: 6, pauseMs: 200, longestPauseMs: 8000, stallMs: 30_000 };
/** Enough for the header of an .npy, and to recognize any format. */
const HEAD_BYTES = 1 << 17;
/** Bytes of an answer that says what went wrong. */
const MAX_ERROR_BYTES = 1 << 14;
/** Answers that another try may not get. */
const TRANSIENT = [408, 425, 429, 500, 502, 503, 504];
/** What an S3 store says about credentials that are wrong, or too old. */
const BAD_CREDENTIALS = ['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidToken'];

interface Version {
  etag: string | null;
  modified: string | null;
  size: number | null;
}

/** Opens `s3://bucket/key` or `https://…`. Rejects with a UserError, one line without secrets, if it cannot be read. */
export async function openRemote(
  address: string,
  {
    patience = PATIENCE,
    signal,
    headBytes = HEAD_BYTES,
  }: { patience?: Patience; signal?: AbortSignal; headBytes?: number } = {},
): Promise<RemoteFile> {
  const store = storeOf(parseAddress(address));
  const { name } = store;
  const { head, version, hasRanges } = await persistently(name, patience, signal, () =>
    firstBytes(store, headBytes, patience, signal),
  );
  const { size } = version;
  if (size === 0) throw new UserError(`${name} is empty (0 bytes): upload it again`);
  /**
   * Receives the bytes from `from` to `to` (null: all that follow), which `take` gets in order, each with its place; it is null to look
   * at the version only.
   */
  const receive = (from: number, to: number | null, take: Take | null, stop?: AbortSignal) =>
    request(store, from, to, version, patience, stop, async (response, chunks) => {
      await assertAnswer(store, response, version);
      if (to !== null && response.status !== 206) throw noRanges(name);
      if (to !== null && !response.headers.get('content-range')?.startsWith(`bytes ${from}-`))
        throw new UserError(`${name}: the server sends another part than was asked for; download the file`);
      if (!take) return;
      const end = to ?? size ?? Number.POSITIVE_INFINITY;
      let at = from;
      for await (const chunk of chunks) {
        if (at + chunk.length > end)
          throw new UserError(`${name}: the server sends more than was asked for; download the file`);
        take(chunk, at);
        at += chunk.length;
      }
      if (at < end && end < Number.POSITIVE_INFINITY) throw brokenOff(at - from, end - from);
    });
  /** The bytes of a part, in order, going on where a connection breaks off. */
  const pull = async (from: number, to: number, take: Take, stop?: AbortSignal) => {
    for (let at = from; at < to; )
      await persistently(name, patience, stop, async () => {
        const before = at;
        const taken: Take = (bytes, place) => {
          take(bytes, place);
          at += bytes.length;
        };
        // If something has come, the next request has all its tries again.
        await receive(at, to, taken, stop).catch((error) => {
          if (at === before || !(error instanceof Transient)) throw error;
        });
      });
  };
  return {
    name,
    size,
    version: JSON.stringify([name, version.etag ?? version.modified ?? randomUUID(), size]),
    head,
    hasRanges,
    async read(at, length) {
      const bytes = new Uint8Array(length);
      if (at + length <= head.length) bytes.set(head.subarray(at, at + length));
      else await pull(at, at + length, (piece, place) => bytes.set(piece, place - at));
      return bytes;
    },
    copy: (take, stop) =>
      hasRanges && size !== null
        ? pull(0, size, take, stop)
        : persistently(name, patience, stop, () => receive(0, null, take, stop)),
    assertSame: () => persistently(name, patience, undefined, () => receive(0, hasRanges ? 1 : null, null)),
  };
}

type Take = (bytes: Uint8Array, at: number) => void;

/** A whole answer as text. UserError where it has more than `most` bytes, or cannot be read. */
export const readText = (store: Store, most: number, signal?: AbortSignal): Promise<string> =>
  persistently(store.name, PATIENCE, signal, () =>
    request(store, 0, null, null, PATIENCE, signal, async (response, chunks) => {
      await assertAnswer(store, response, null);
      const pieces: Uint8Array[] = [];
      let bytes = 0;
      for await (const piece of chunks) {
        pieces.push(piece);
        bytes += piece.length;
        if (bytes > most) throw new UserError(`${store.name}: the server sends more than ${most} bytes`);
      }
      return Buffer.concat(pieces).toString();
    }),
  );

/** Tries again after failures that may pass, with growing pauses. */
async function persistently<T>(
  name: string,
  { retries, pauseMs, longestPauseMs }: Patience,
  signal: AbortSignal | undefined,
  attempt: () => Promise<T>,
): Promise<T> {
  try {
    return await pRetry(attempt, {
      ...{ retries, minTimeout: pauseMs, maxTimeout: longestPauseMs, randomize: true, signal },
      shouldRetry: ({ error }) => error instanceof Transient,
    });
  } catch (error) {
    if (!(error instanceof Transient)) throw error;
    throw new Unreachable(
      `${name} cannot be read: ${error.message}, ${retries + 1} times in a row; try again later`,
    );
  }
}

/** The first bytes of the file, which tell what it is, and its version. */
const firstBytes = (store: Store, most: number, patience: Patience, signal: AbortSignal | undefined) =>
  request(store, 0, most, null, patience, signal, async (response, chunks) => {
    const version = versionOf(response);
    // Of an empty file there is no first part.
    if (response.status === 416 && version.size === 0)
      return { head: new Uint8Array(), version, hasRanges: true };
    await assertAnswer(store, response, null);
    const wanted = Math.min(most, version.size ?? most);
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of chunks) {
      pieces.push(chunk);
      length += chunk.length;
      if (length >= wanted) break;
    }
    if (version.size !== null && length < wanted) throw brokenOff(length, wanted);
    const head = Buffer.concat(pieces).subarray(0, most);
    return { head, version, hasRanges: response.status === 206 && version.size !== null };
  });

const brokenOff = (got: number, wanted: number) =>
  new Transient(`the answer ended after ${got} of ${wanted} bytes`);

/** The error for a server that cannot send parts of a file. */
const noRanges = (name: string) =>
  new UserError(
    `${name}: the server sends the whole file where a part was asked for (200 in place of 206); download it, or use one that has range requests`,
  );

/** Sends one request and hands the answer to `use`; ends it when `use` is done, or when no byte comes for too long. */
async function request<T>(
  store: Store,
  from: number,
  to: number | null,
  version: Version | null,
  { stallMs }: Patience,
  signal: AbortSignal | undefined,
  use: (response: Response, chunks: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  let isStalled = false;
  const stall = setTimeout(() => {
    isStalled = true;
    over.abort();
  }, stallMs);
  async function* chunksOf({ body }: Response): AsyncGenerator<Uint8Array> {
    for await (const chunk of body ?? []) {
      stall.refresh();
      yield chunk;
    }
  }
  try {
    const isWhole = from === 0 && to === null;
    const headers = {
      ...(!isWhole && { range: `bytes=${from}-${to === null ? '' : to - 1}` }),
      // A weak one never matches.
      ...(version?.etag && !version.etag.startsWith('W/') && { 'if-match': version.etag }),
    };
    const response = await store.get(headers, signal ? AbortSignal.any([over.signal, signal]) : over.signal);
    stall.refresh();
    return await use(response, chunksOf(response));
  } catch (error) {
    signal?.throwIfAborted();
    if (isStalled) throw new Transient(`no answer, or no more of it, for ${stallMs / 1000} s`);
    throw networkError(store.name, error);
  } finally {
    clearTimeout(stall);
    over.abort();
  }
}

/** Errors that another try does not get rid of. */
const LASTING: Partial<Record<string, string>> = {
  ENOTFOUND: 'there is no such host',
  ERR_INVALID_URL: 'its address is not valid',
  'bad port': 'its port is that of another service',
};

/** A failed fetch has its reason as its cause. */
function networkError(name: string, error: unknown): unknown {
  if (!(error instanceof TypeError)) return error;
  const { code = '', message = error.message } = (error.cause ?? {}) as NodeJS.ErrnoException;
  const isCertificate = /CERT|SIGNATURE|^ERR_TLS|^ERR_SSL/.test(code);
  const lasting =
    LASTING[code] ?? LASTING[message] ?? (isCertificate && `its certificate is not accepted (${code})`);
  if (lasting) return new UserError(`${name} cannot be read: ${lasting}; check the address`);
  if (code === 'ECONNREFUSED') return new Transient('the connection was refused');
  // Never the error's text, which may have a header in it.
  return new Transient(`the connection failed${code && ` (${code})`}`);
}

/** Throws a Transient or a UserError unless the answer is (a part of) the file of this version. */
async function assertAnswer(
  { name, hint }: Store,
  response: Response,
  version: Version | null,
): Promise<void> {
  const { status } = response;
  if (status === 412) throw changed(name);
  if (status === 416 && version) throw changed(name);
  if (status !== 200 && status !== 206) {
    const why = await errorCodeOf(response);
    const said = `${status}${why && ` ${why}`}`;
    if (TRANSIENT.includes(status)) throw new Transient(`the server says ${said}`);
    if (BAD_CREDENTIALS.includes(why))
      throw new UserError(`${name}: the credentials that were found are not valid (${said}): renew them`);
    if (status === 401 || status === 403) throw new UserError(`${name}: access denied (${said}); ${hint}`);
    if (status === 404 || status === 410)
      throw new UserError(
        `${name}: there is no such file (${said}); check the address${name.startsWith('s3:') ? ', which of a folder ends with /' : ''}`,
      );
    throw new UserError(`${name} cannot be read: the server says ${said}; check address and credentials`);
  }
  if (response.headers.get('content-encoding')?.match(/gzip|br|deflate|zstd/))
    throw new UserError(`${name}: the server compresses it on the way, so parts have no place; download it`);
  if (!version) return;
  const now = versionOf(response);
  const isSame =
    now.etag === version.etag &&
    now.modified === version.modified &&
    (now.size ?? version.size) === version.size;
  if (!isSame) throw changed(name);
}

const changed = (name: string) =>
  new UserError(`${name} changed while it was being read: start again once it is complete`);

/** What the answer says about the file: its size is that of the whole. */
function versionOf({ status, headers }: Response): Version {
  const total = /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1];
  const size = status === 200 ? headers.get('content-length') : total;
  return {
    etag: headers.get('etag'),
    modified: headers.get('last-modified'),
    size: size == null ? null : Number(size),
  };
}

/** The code in an S3 store's answer, such as NoSuchKey. The rest, which repeats parts of the request, is not shown. */
async function errorCodeOf({ body }: Response): Promise<string> {
  let text = '';
  try {
    for await (const chunk of body ?? []) {
      text += Buffer.from(chunk).toString('latin1');
      if (text.length > MAX_ERROR_BYTES) break;
    }
  } catch {}
  return /<Code>([A-Za-z]{1,40})<\/Code>/.exec(text)?.[1] ?? '';
}
