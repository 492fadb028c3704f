import { closeSync } from 'node:fs';
import zlib from 'node:zlib';
import type { Entry, ZipFile } from 'yauzl';
import { createAtomicFile, ioError, openFile, readFully } from '../../base/files.ts';
import { ranges, yieldToEventLoop } from '../../base/slices.ts';
import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { openCached } from '../cache.ts';
import {
  type ArrayFile,
  byteCount,
  MAX_HEAD_BYTES,
  type NpyHeader,
  npyAt,
  npyHeaderIn,
  openNpy,
} from '../npy.ts';
import { type ContainedArray, type Container, memberPath, pickleError } from './container.ts';

/** Arrays of NumPy in a zip archive. What is stored in it is read in place; what is deflated is unpacked once, into the cache. */

/** More are not listed by the library without much memory. */
const MOST_MEMBERS = 1 << 16;
/** Bytes whose checksum is computed in one go. */
const PIECE_BYTES = 1 << 22;
const STORED = 0;
const DEFLATED = 8;
const MEMBER = /\.npy$/;

/** Do these first bytes of a file have the magic number of zip? */
export const isZip = (head: Uint8Array) =>
  head[0] === 0x50 && head[1] === 0x4b && [0x0403, 0x0605].includes(head[2] + 256 * head[3]);

/** Opens an .npz. Rejects with a UserError that says what another archive is. */
export async function openNpz(path: string): Promise<Container> {
  const { fromFdPromise } = (await import('yauzl')).default;
  const { fd } = openFile(path);
  const zip = await fromFdPromise(fd).catch((error: Error) => {
    closeSync(fd);
    throw zipError(path, error);
  });
  try {
    if (zip.entryCount > MOST_MEMBERS)
      throw new UserError(`${path} has ${zip.entryCount} members, more than the supported ${MOST_MEMBERS}`);
    const entries: Entry[] = [];
    for await (const entry of zip.eachEntry()) entries.push(entry);
    const arrays = new Map(
      entries
        .filter(({ fileName }) => MEMBER.test(fileName))
        .map((entry) => [entry.fileName.replace(MEMBER, ''), entry] as const),
    );
    if (!arrays.size) throw otherArchive(path, entries);
    if (arrays.has('indptr') && arrays.has('format'))
      throw new UserError(
        `${path} is a sparse matrix of SciPy: save it dense, with numpy.save(…, x.toarray()), or as the X of an .h5ad`,
      );
    const member = (name: string): Member => ({ path, name, zip, entry: arrays.get(name)! });
    return {
      path,
      names: [...arrays.keys()],
      find: (name) => [name, name.replace(MEMBER, '')].find((found) => arrays.has(found)) ?? null,
      shapeOf: (name) => shapeOf(member(name)),
      open: (name, isKnown) => openEntry(member(name), isKnown),
      close: () => zip.close(),
    };
  } catch (error) {
    zip.close();
    throw zipError(path, error);
  }
}

interface Member {
  path: string;
  name: string;
  zip: ZipFile;
  entry: Entry;
}

async function openEntry(member: Member, isKnown = false): Promise<ContainedArray> {
  const { path, name, entry } = member;
  const label = memberPath(path, name);
  if (entry.isEncrypted()) throw new UserError(`${label} is encrypted: save it again with numpy.savez`);
  if (entry.compressionMethod === STORED) return { file: await openStored(member, label, isKnown) };
  if (entry.compressionMethod !== DEFLATED)
    throw new UserError(
      `${label} is compressed in a way that NumPy does not use (method ${entry.compressionMethod}): save it again with numpy.savez`,
    );
  const { copy, ...file } = await openCached(
    path,
    `npz ${name}`,
    (target) => inflate(member, label, target),
    (target) => openNpy(target, label),
  );
  return { file, copy };
}

async function openStored({ path, zip, entry }: Member, label: string, isKnown: boolean): Promise<ArrayFile> {
  const { fileDataStart: start } = await zip
    .readLocalFileHeaderPromise(entry, { minimal: true })
    .catch((error: Error) => {
      throw zipError(path, error);
    });
  const { fd } = openFile(path);
  try {
    if (!isKnown) await assertChecksum({ fd, path }, start, entry, label);
    return npyAt({ fd, path: label }, start, entry.uncompressedSize);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

const wrongChecksum = (label: string) =>
  new UserError(`${label} is damaged (its checksum differs): copy or save it again`);

async function assertChecksum(
  file: Pick<ArrayFile, 'fd' | 'path'>,
  start: number,
  { uncompressedSize, crc32 }: Entry,
  label: string,
): Promise<void> {
  const bytes = Buffer.alloc(Math.min(uncompressedSize, PIECE_BYTES));
  let sum = 0;
  for (const { from, to } of ranges(uncompressedSize, PIECE_BYTES)) {
    await yieldToEventLoop();
    const piece = bytes.subarray(0, to - from);
    readFully(file, piece, start + from);
    sum = zlib.crc32(piece, sum);
  }
  if (sum !== crc32) throw wrongChecksum(label);
}

async function shapeOf(member: Member): Promise<readonly number[] | null> {
  try {
    return (await headerOf(member)).shape;
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

/** The bytes of a member, unpacked. */
async function* bytesOf({ path, zip, entry }: Member): AsyncGenerator<Buffer> {
  try {
    yield* (await zip.openReadStreamPromise(entry)) as AsyncIterable<Buffer>;
  } catch (error) {
    throw zipError(path, error);
  }
}

async function headerOf(member: Member): Promise<NpyHeader> {
  const { path, name, entry } = member;
  const head: Buffer[] = [];
  let length = 0;
  for await (const chunk of bytesOf(member)) {
    head.push(chunk);
    length += chunk.length;
    if (length >= MAX_HEAD_BYTES) break;
  }
  return npyHeaderIn(memberPath(path, name), Buffer.concat(head), entry.uncompressedSize);
}

async function inflate(member: Member, label: string, target: string): Promise<void> {
  const { uncompressedSize, crc32 } = member.entry;
  const header = await headerOf(member);
  const expected = header.offset + byteCount({ path: label, ...header });
  if (expected !== uncompressedSize)
    throw new UserError(
      `${label} has ${uncompressedSize} bytes, its header says ${expected}: copy or save it again`,
    );
  const file = createAtomicFile(target, { mode: 0o600 });
  let [at, sum] = [0, 0];
  try {
    for await (const chunk of bytesOf(member)) {
      file.write(chunk, at);
      at += chunk.length;
      sum = zlib.crc32(chunk, sum);
    }
    if (sum !== crc32) throw wrongChecksum(label);
    file.finish();
  } catch (error) {
    file.abort();
    throw error;
  }
}

/** What the zip library says of a file as a UserError. */
function zipError(path: string, error: unknown): unknown {
  const { syscall, message } = error as NodeJS.ErrnoException;
  // Other classes are of bugs.
  if (error instanceof UserError || !(error instanceof Error) || error.name !== 'Error') return error;
  if (syscall) return ioError(path, 'read', error);
  return new UserError(oneLine(`${path} is damaged or truncated (zip: ${message}): copy or save it again`));
}

/** What the members of other archives are called, and what these are. */
const OTHERS: [RegExp, string][] = [
  [/^xl\//, 'is an Excel workbook: save its sheet as .csv'],
  [/^(word|ppt)\//, 'is an Office document: save its table as .csv'],
];

function otherArchive(path: string, entries: readonly Entry[]): UserError {
  const names = entries.map(({ fileName }) => fileName);
  const has = (pattern: RegExp) => names.some((name) => pattern.test(name));
  if (has(/(^|\/)data\.pkl$/)) return pickleError(path);
  const [, what] = OTHERS.find(([pattern]) => has(pattern)) ?? [];
  if (what) return new UserError(`${path} ${what}`);
  if (!names.length) return new UserError(`${path} is an empty zip archive: save the arrays again`);
  const some = `${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''}`;
  return new UserError(
    oneLine(`${path} is a zip archive without .npy (${some}): unpack it, and use a file that was in it`),
  );
}
