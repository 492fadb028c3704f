import { createPrivateKey, createPublicKey } from 'node:crypto';
import { curveKeyPair } from 'zeromq';
import * as z from 'zod/mini';
import { UserError } from '../base/user-error.ts';
import { fromZ85, toZ85 } from './z85.ts';

/** A CURVE key pair, both in Z85: 40 characters. */
export interface KeyPair {
  public: string;
  secret: string;
}

/** What a worker has: its own pair, and the public key by which it knows the coordinator. */
export interface WorkerKey extends KeyPair {
  server: string;
}

/** Names of the workers that are let in, by public key. */
export type AllowList = ReadonlyMap<string, string>;

export function newKeyPair(): KeyPair {
  const { publicKey, secretKey } = curveKeyPair();
  return { public: publicKey, secret: secretKey };
}

/** A key file as text. */
export const serverKeyText = (key: KeyPair) => text({ kind: 'server', ...key });
export const workerKeyText = (name: string, key: WorkerKey) => text({ kind: 'worker', name, ...key });
const text = (value: object) => `${JSON.stringify(value, null, 2)}\n`;

/** Not "server", whose file that of the coordinator's key would be. */
export const isWorkerName = (name: string) =>
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name) && name.toLowerCase() !== 'server';

/** Which file was given in place of another, and what that one is for. */
const KINDS = {
  server: 'the coordinator’s key (coordinator --keys)',
  worker: 'a worker’s key (worker --key)',
} as const;

const key = z.string().check(z.refine((value) => fromZ85(value)?.length === 32));
const pair = { public: key, secret: key };
const serverFile = z.object({ kind: z.literal('server'), ...pair });
const workerFile = z.object({ kind: z.literal('worker'), ...pair, server: key });

/** The pair of a server's key file; a UserError that names `path` if it is none. */
export function parseServerKey(content: string, path: string): KeyPair {
  const { kind: _, ...found } = parse(content, path, 'server', serverFile);
  return found;
}

/** The keys of a worker's file; a UserError that names `path` if it is none. */
export function parseWorkerKey(content: string, path: string): WorkerKey {
  const { kind: _, ...found } = parse(content, path, 'worker', workerFile);
  return found;
}

// No message quotes what a file holds: it may be a secret.
function parse<T extends KeyPair>(
  content: string,
  path: string,
  kind: keyof typeof KINDS,
  schema: z.ZodMiniType<T>,
): T {
  const again = 'make it again with dpmesh keygen';
  let raw: { kind?: unknown } | null;
  try {
    raw = JSON.parse(content);
  } catch {
    throw new UserError(`${path} is not a key file (no JSON): ${again}`);
  }
  const other = kind === 'server' ? 'worker' : 'server';
  if (raw?.kind === other) throw new UserError(`${path} is ${KINDS[other]}; here belongs ${KINDS[kind]}`);
  const found = z.safeParse(schema, raw);
  if (!found.success) {
    const field = String(found.error.issues[0].path[0] ?? 'kind');
    const wanted = field === 'kind' ? `"${kind}"` : 'a key of 40 Z85 characters';
    throw new UserError(`${path}: "${field}" is not ${wanted}: ${again}`);
  }
  if (publicOf(found.data.secret) !== found.data.public)
    throw new UserError(`${path}: "public" and "secret" are no pair: ${again}`);
  return found.data;
}

/** DER of a PKCS#8 X25519 key, up to its 32 bytes. */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** The public key of a secret one. */
export function publicOf(secret: string): string {
  const der = Buffer.concat([PKCS8, fromZ85(secret)!]);
  const { x } = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).export({
    format: 'jwk',
  });
  return toZ85(Buffer.from(x!, 'base64url'));
}

export const allowedLine = (name: string, publicKey: string) => `${name} ${publicKey}\n`;

/**
 * An allow-list: lines of a name and a public key; empty ones, and those that begin with #, say nothing. (A key may
 * hold a # itself.) A UserError names `path` and the line that is broken.
 */
export function parseAllowed(content: string, path: string): AllowList {
  const allowed = new Map<string, string>();
  const lines = new Map<string, number>();
  for (const [i, line] of content.split('\n').entries()) {
    const words = line.trim().split(/\s+/);
    if (!words[0] || words[0].startsWith('#')) continue;
    const refuse = (why: string) => new UserError(`${path}, line ${i + 1}: ${why}`);
    const [name, publicKey] = words;
    if (words.length !== 2) throw refuse('must be a name and a public key');
    if (!isWorkerName(name)) throw refuse('the name must be of A–Z a–z 0–9 . _ -, at most 64 characters');
    if (fromZ85(publicKey)?.length !== 32) throw refuse('the public key must be 40 Z85 characters');
    const before = lines.get(name) ?? lines.get(publicKey);
    if (before) throw refuse(`its name or key is that of line ${before}`);
    lines.set(name, i + 1).set(publicKey, i + 1);
    allowed.set(publicKey, name);
  }
  return allowed;
}
