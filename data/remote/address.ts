import { resolve } from 'node:path';
import { isLoopback } from '../../base/address.ts';
import { oneLine, withoutEnd } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';

/** Where a remote file is: an object of an S3 store, or an address of the web. `name` has no secrets and may be printed. */
export type RemoteAddress = { readonly name: string } & (
  | { readonly bucket: string; readonly key: string }
  | { readonly url: URL }
);

const SCHEME = /^([a-z][a-z0-9+.-]+):\/\//i;
const S3 = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.+)$/;
/** Control characters, and what servers may take for a `/` of the path that has been checked. */
const UNSAFE = /[\p{Cc}\\]|%2f|%5c/iu;
/** Segments that lead elsewhere, also where a program on the way resolves them. */
const DOTS = /(^|\/)\.{1,2}(\/|$)/;

/** Does this name a file elsewhere, with a scheme such as `https://`? */
export const isRemote = (text: string): boolean => SCHEME.test(text);

/** Does this address name several objects: a folder of an S3 store, by a / at its end, or a pattern of names in one? */
export const areParts = (text: string): boolean =>
  /^s3:\/\/./i.test(text) && (text.endsWith('/') || /[*[]/.test(text.slice(text.lastIndexOf('/'))));

/** The absolute path; an address as it is. */
export const absolute = (path: string): string => (isRemote(path) ? path : resolve(path));

/**
 * Parses `s3://bucket/key`, `https://…`, or `http://…` of this machine. UserError for anything else, and for what may be a secret: a run
 * writes the address of its data to run.json and shows it.
 */
export function parseAddress(text: string): RemoteAddress {
  const scheme = SCHEME.exec(text)?.[1].toLowerCase();
  const invalid = (why: string) => new UserError(`${withoutSecrets(text)} ${why}`);
  if (scheme !== 's3' && scheme !== 'https' && scheme !== 'http')
    throw invalid('cannot be read: use s3://BUCKET/KEY, https://…, or a path');
  if (UNSAFE.test(text))
    throw invalid('has a backslash, an encoded slash or a control character in it: rename the file');
  if (scheme === 's3') {
    const [, bucket, key] = S3.exec(text.replace(/^s3/i, 's3')) ?? [];
    if (!bucket || /[?#]/.test(key))
      throw invalid('must look like s3://BUCKET/KEY, without a name, password or query');
    if (DOTS.test(key)) throw invalid('has . or .. as a part of its key: rename the object');
    return { name: `s3://${bucket}/${oneLine(key)}`, bucket, key };
  }
  if (!URL.canParse(text)) throw invalid('is not a valid address');
  const url = new URL(text);
  if (url.username || url.password)
    throw invalid('has a name or password in it, which a run would write down: leave it out');
  if (url.search || url.hash || text.includes('?'))
    throw invalid(
      'has a query, which may carry a signature or token that a run would write down: use s3:// with credentials of the environment, or download the file',
    );
  if (scheme === 'http' && !isLoopback(url.hostname))
    throw invalid('is not encrypted, so anybody on the way could change the rows: use https://');
  return { name: oneLine(url.href), url };
}

/** UserError if it is the address of a remote file that must not be read, or written down. */
export function assertAddress(text: string | null): void {
  if (text !== null && isRemote(text)) parseAddress(text);
}

/** UserError for the address of a remote file where something is to be written. `what`: the flag. */
export function assertLocal(what: string, path: string | null | undefined): void {
  if (path && isRemote(path))
    throw new UserError(
      `${what} ${withoutSecrets(path)} is an address, and nothing is written to one: choose a path of this machine, and copy it from there`,
    );
}

/** An address without name, password, query and fragment. */
export const withoutSecrets = (text: string): string =>
  oneLine(text.replace(/[?#].*$/s, '').replace(/^([^:]+:\/\/)[^/]*@/, '$1'));

/** Does this address lie below the prefix `root`, both complete: `s3://bucket/folder`? Throws a UserError if either is invalid. */
export function isBelowAddress(root: string, text: string): boolean {
  const folder = withoutEnd(parsePrefix(root), /\//);
  const { name } = parseAddress(text);
  return name === folder || name.startsWith(`${folder}/`);
}

/** The prefix of addresses below which a worker may read, as it is compared. UserError if it is none. */
export function parsePrefix(root: string): string {
  const [, bucket] = /^s3:\/\/([^/]+)\/*$/i.exec(root) ?? [];
  // A whole bucket.
  if (bucket) return parseAddress(`s3://${bucket}/x`).name.slice(0, -2);
  return parseAddress(root).name;
}

/** A remote file could not be reached for some time; later it may. */
export class Unreachable extends UserError {}
