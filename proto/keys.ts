import { createPrivateKey, createPublicKey } from 'node:crypto';
import { curveKeyPair } from 'zeromq';
import * as z from 'zod/mini';
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
export const serverKeyText = (key: KeyPair) => text({ kind: 'server', ...key });
export const workerKeyText = (name: string, key: WorkerKey) => text({ kind: 'worker', name, ...key });
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
export const parseServerKey = (content: string, path: string): KeyPair =>
  parse(content, path, 'server', serverFile);
export const parseWorkerKey = (content: string, path: string): WorkerKey =>
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

export const allowedLine = (name: string, publicKey: string) => `${name} ${publicKey}\n`;

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
