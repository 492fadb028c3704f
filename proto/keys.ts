import { createPrivateKey, createPublicKey } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  readFileSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { curveKeyPair } from 'zeromq';
import * as z from 'zod/mini';
import { attempted, createAtomicFile, ioError, mkdirp, openFile, remove, statusOf } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';

/** Z85 (ZeroMQ RFC 32): bytes as printable text, five characters for four bytes. */
const LETTERS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

/** Encodes bytes, whose number must be a multiple of four. */
export function toZ85(bytes: Uint8Array): string {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = '';
  for (let at = 0; at < bytes.byteLength; at += 4) {
    const word = words.getUint32(at);
    for (let power = 85 ** 4; power >= 1; power /= 85) text += LETTERS[Math.floor(word / power) % 85];
  }
  return text;
}

/** Decodes a text; null if it is not valid Z85. */
export function fromZ85(text: string): Buffer | null {
  if (text.length % 5) return null;
  const bytes = Buffer.alloc((text.length / 5) * 4);
  for (let i = 0; i < text.length; i += 5) {
    let word = 0;
    for (const letter of text.slice(i, i + 5)) {
      const digit = LETTERS.indexOf(letter);
      if (digit < 0) return null;
      word = word * 85 + digit;
    }
    if (word >= 2 ** 32) return null;
    bytes.writeUInt32BE(word, (i / 5) * 4);
  }
  return bytes;
}

/** A CURVE key pair, both in Z85: 40 characters. */
export interface KeyPair {
  public: string;
  secret: string;
}

/** A worker's key pair, and the coordinator's public key. */
export interface WorkerKey extends KeyPair {
  server: string;
}

/** Names of the workers that may join, by public key. */
export type AllowList = ReadonlyMap<string, string>;

export function newKeyPair(): KeyPair {
  const { publicKey, secretKey } = curveKeyPair();
  return { public: publicKey, secret: secretKey };
}

/** The content of a key file. */
const serverKeyText = (key: KeyPair) => text({ kind: 'server', ...key });
const workerKeyText = (name: string, key: WorkerKey) => text({ kind: 'worker', name, ...key });
const text = (value: object) => `${JSON.stringify(value, null, 2)}\n`;

/** Not "server": its file would be that of the coordinator's key. */
export const isWorkerName = (name: string) =>
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name) && name.toLowerCase() !== 'server';

/** The two kinds of key files and where each is used, for errors. */
const KINDS = {
  server: 'the coordinator’s key (coordinator --keys)',
  worker: 'a worker’s key (worker --key)',
} as const;

const key = z.string().check(z.refine((value) => fromZ85(value)?.length === 32));
const pair = { public: key, secret: key };
const serverFile = z.object({ kind: z.literal('server'), ...pair });
const workerFile = z.object({ kind: z.literal('worker'), ...pair, server: key });

/** Parse the key files of a server and of a worker. UserError that names `path` if it is not one. */
const parseServerKey = (content: string, path: string): KeyPair => parse(content, path, 'server', serverFile);
const parseWorkerKey = (content: string, path: string): WorkerKey =>
  parse(content, path, 'worker', workerFile);

// Errors never quote the content of a file: it may be a secret.
function parse<T extends KeyPair & { kind: string }>(
  content: string,
  path: string,
  kind: keyof typeof KINDS,
  schema: z.ZodMiniType<T>,
): Omit<T, 'kind'> {
  const remedy = 'create it again with dpmesh keygen';
  let raw: { kind?: unknown } | null;
  try {
    raw = JSON.parse(content);
  } catch {
    throw new UserError(`${path} is not a key file (not JSON): ${remedy}`);
  }
  const other = kind === 'server' ? 'worker' : 'server';
  if (raw?.kind === other) throw new UserError(`${path} is ${KINDS[other]}, but must be ${KINDS[kind]}`);
  const parsed = z.safeParse(schema, raw);
  if (!parsed.success) {
    const field = String(parsed.error.issues[0].path[0] ?? 'kind');
    const expected = field === 'kind' ? `"${kind}"` : 'a key of 40 Z85 characters';
    throw new UserError(`${path}: "${field}" is not ${expected}: ${remedy}`);
  }
  if (publicOf(parsed.data.secret) !== parsed.data.public)
    throw new UserError(`${path}: "public" and "secret" do not belong together: ${remedy}`);
  const { kind: _, ...keys } = parsed.data;
  return keys;
}

/** The DER prefix of a secret X25519 key in PKCS#8, before its 32 bytes. */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** The public key of a secret one. */
export function publicOf(secret: string): string {
  const key = Buffer.concat([PKCS8, fromZ85(secret)!]);
  const { x } = createPublicKey(createPrivateKey({ key, format: 'der', type: 'pkcs8' })).export({
    format: 'jwk',
  });
  return toZ85(Buffer.from(x!, 'base64url'));
}

const allowedLine = (name: string, publicKey: string) => `${name} ${publicKey}\n`;

/**
 * Parses an allow-list: lines of a name and a public key. Empty lines and lines that begin with # are ignored (a key may
 * contain a #). UserError that names `path` and the line that is invalid.
 */
export function parseAllowed(content: string, path: string): AllowList {
  const allowed = new Map<string, string>();
  const lines = new Map<string, number>();
  for (const [i, line] of content.split('\n').entries()) {
    const words = line.trim().split(/\s+/);
    if (!words[0] || words[0].startsWith('#')) continue;
    const lineError = (why: string) => new UserError(`${path}, line ${i + 1}: ${why}`);
    const [name, publicKey] = words;
    if (words.length !== 2) throw lineError('must be a name and a public key');
    if (!isWorkerName(name)) throw lineError('the name must have at most 64 characters of A–Z a–z 0–9 . _ -');
    if (fromZ85(publicKey)?.length !== 32) throw lineError('the public key must have 40 Z85 characters');
    const earlier = lines.get(name) ?? lines.get(publicKey);
    if (earlier) throw lineError(`its name or key is already in line ${earlier}`);
    lines.set(name, i + 1).set(publicKey, i + 1);
    allowed.set(publicKey, name);
  }
  return allowed;
}

/** Maximum size of a key file; a larger file is something else. */
const MAX_BYTES = 1 << 20;
const OWNER_ONLY = 0o600;
const STICKY = 0o1000;

const serverPath = (folder: string) => join(folder, 'server.key');
const allowedPath = (folder: string) => join(folder, 'allowed');

/** The coordinator's key pair in a folder that keygen made. */
export const readServerKey = (folder: string): KeyPair =>
  parseServerKey(read(serverPath(folder), 0o077), serverPath(folder));

/** The workers that may join. Not secret, but nobody else may write it. */
export const readAllowed = (folder: string): AllowList =>
  parseAllowed(read(allowedPath(folder), 0o022), allowedPath(folder));

export const readWorkerKey = (path: string): WorkerKey => parseWorkerKey(read(path, 0o077), path);

/**
 * Null if a file or folder belongs to this user or root and other users have none of the `forbidden` permissions; else what
 * is wrong. Not checked on Windows, which has no such owners and modes.
 */
function accessProblem({ uid, mode }: Stats, forbidden: number): string | null {
  const own = process.getuid?.();
  if (own === undefined) return null;
  if (uid !== own && uid !== 0) return `belongs to another user (uid ${uid})`;
  return mode & forbidden
    ? `is open to other users (mode ${(mode & 0o777).toString(8).padStart(4, '0')})`
    : null;
}

/**
 * UserError if other users can replace files in a folder. In one with the sticky bit, such as /tmp, everyone can remove only
 * their own files.
 */
function assertClosed(folder: string): void {
  const stat = attempted(folder, 'read', () => statSync(folder));
  const problem = accessProblem(stat, stat.mode & STICKY ? 0 : 0o022);
  if (problem)
    throw new UserError(
      `the folder ${folder} ${problem}, who could change the keys in it: ${problem.startsWith('is open') ? `run chmod go-w ${folder}, or ` : ''}keep the keys in a folder of your own`,
    );
}

/** The text of a file. UserError unless it and its folder are closed to other users (`accessProblem`). */
function read(path: string, forbidden: number): string {
  if (!existsSync(path)) {
    const folder = dirname(path);
    if (statusOf(folder)?.isFile())
      throw new UserError(`${folder} is a file: give the folder of keys that it is in`);
    throw new UserError(`there is no ${path}: create keys with dpmesh keygen`);
  }
  const { fd, size } = openFile(path);
  try {
    for (const folder of new Set([path, realpathSync(path)].map(dirname))) assertClosed(folder);
    // The opened file's own status: its name may refer to another file by now.
    const problem = accessProblem(fstatSync(fd), forbidden);
    if (problem)
      throw new UserError(
        `${path} ${problem}: ${problem.startsWith('is open') ? `run chmod 600 ${path}` : 'use a copy of your own'}, and make new keys if others may have used it`,
      );
    if (size > MAX_BYTES) throw new UserError(`${path} is not a key file: it has ${size} bytes`);
    return readFileSync(fd, 'utf8');
  } catch (error) {
    throw ioError(path, 'read', error);
  } finally {
    closeSync(fd);
  }
}

/** Makes a folder for the keys of these workers. UserError for invalid names. */
export function makeKeyFolder(folder: string, names: string[]): void {
  for (const [i, name] of names.entries()) {
    if (!isWorkerName(name))
      throw new UserError(
        `--workers ${name || '(an empty name)'}: a name must have 1 to 64 characters of A–Z a–z 0–9 . _ -, begin with a letter or digit, and not be "server"`,
      );
    if (names.indexOf(name) < i) throw new UserError(`--workers names ${name} twice`);
  }
  try {
    if (mkdirp(folder, 0o700)) chmodSync(folder, 0o700);
  } catch (error) {
    throw ioError(folder, 'made', error);
  }
  assertClosed(folder);
}

/**
 * Makes a folder of keys: the coordinator's, one file for each worker, and the allow-list. An existing server key is kept and
 * its list extended. UserError, before anything is written, for a worker that exists already; for a full disk, with no new key
 * left: one that is not on the list would only be in the way of the next attempt. Returns what was written; `server.made`: whether
 * the server key is new.
 */
export function makeKeys(folder: string, names: string[]) {
  makeKeyFolder(folder, names);
  const made = !existsSync(serverPath(folder));
  const server = made ? newKeyPair() : readServerKey(folder);
  const list = allowedPath(folder);
  let lines =
    '# Workers that may join: a name and a public key per line. The coordinator rereads this file at SIGHUP.\n';
  if (existsSync(list)) {
    const existing = new Set(readAllowed(folder).values());
    const duplicate = names.find((name) => existing.has(name));
    if (duplicate)
      throw new UserError(`${duplicate} is already in ${list}: choose another name, or remove its line`);
    lines = read(list, 0o022).replace(/\n?$/, '\n');
  }
  const workers = names.map((name) => ({ name, file: join(folder, `${name}.key`), pair: newKeyPair() }));
  const taken = workers.find(({ file }) => existsSync(file));
  if (taken) throw new UserError(`${taken.file} already exists: choose another name, or remove the file`);

  const written: string[] = [];
  const add = (path: string, content: string) => {
    write(path, content);
    written.push(path);
  };
  try {
    if (made) add(serverPath(folder), serverKeyText(server));
    for (const { name, file, pair } of workers)
      add(file, workerKeyText(name, { ...pair, server: server.public }));
    // Last, so that every worker on it has a key.
    write(list, lines + workers.map(({ name, pair }) => allowedLine(name, pair.public)).join(''));
  } catch (error) {
    for (const path of written)
      try {
        remove(path);
      } catch {
        // Of the problems, the first is the one to tell; the next attempt names a key that is left.
      }
    throw error;
  }
  return {
    folder,
    server: { file: serverPath(folder), public: server.public, made },
    workers: workers.map(({ name, file, pair }) => ({ name, file, public: pair.public })),
    allowed: list,
  };
}

function write(path: string, content: string): void {
  const file = createAtomicFile(path, { mode: OWNER_ONLY });
  try {
    file.write(Buffer.from(content), 0);
    file.finish();
  } catch (error) {
    file.abort();
    throw error;
  }
}
