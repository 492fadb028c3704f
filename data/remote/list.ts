import { UserError } from '../../base/user-error.ts';
import { likeFile } from '../file-names.ts';
import { parseAddress } from './address.ts';
import { readText } from './remote-file.ts';
import { s3List } from './store.ts';

export interface ListedObject {
  /** Its key below the folder. */
  name: string;
  /** Its address. */
  path: string;
  bytes: number;
  /** When it was stored, in ISO 8601. */
  modified: string;
}

/** Bytes of a list of a thousand objects, whose keys have up to a thousand bytes, encoded. */
const MOST_BYTES = 8 << 20;

/**
 * The objects of an S3 store below `s3://bucket/folder/`, at any depth, whose last names are `wanted`; or in a folder, by a pattern of names such as `s3://bucket/folder/*.parquet`.
 * In the order of their keys.
 */
export async function objectsAt(
  data: string,
  wanted: (name: string) => boolean,
  signal?: AbortSignal,
): Promise<ListedObject[]> {
  const address = parseAddress(data);
  if (!('bucket' in address))
    throw new UserError(
      `${data}: files on the web cannot be listed; follow a folder, or s3://BUCKET/FOLDER/`,
    );
  const [, folder, pattern] = /^(.*\/)?([^/]*)$/s.exec(address.key)!;
  const matches = pattern ? likeFile(pattern) : wanted;
  const prefix = folder ?? '';
  const found: ListedObject[] = [];
  let token: string | null = null;
  do {
    const list: string = await readText(s3List({ ...address, key: prefix }, token), MOST_BYTES, signal);
    for (const entry of list.split('<Contents>').slice(1)) {
      const key = decoded(field(entry, 'Key'), data);
      const name = key.slice(prefix.length);
      const isBelow = name.includes('/');
      // A key may be any text, and the name becomes that of a file.
      if (name.split('/').some((step) => ['', '.', '..'].includes(step))) continue;
      if (matches(name.slice(name.lastIndexOf('/') + 1)) && !(pattern && isBelow))
        found.push({
          name,
          path: `s3://${address.bucket}/${key}`,
          bytes: Number(field(entry, 'Size')),
          modified: field(entry, 'LastModified'),
        });
    }
    const last: string | null = token;
    token = /<IsTruncated>true</.test(list) ? field(list, 'NextContinuationToken') : null;
    if (token !== null && (token === '' || token === last))
      throw new UserError(`${data}: the store lists some of its objects only: it has no list version 2`);
  } while (token);
  return found;
}

function decoded(key: string, data: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    throw new UserError(
      `${data}: the store lists an object whose key is not encoded as it should be: ${key}`,
    );
  }
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The text of an element without others in it. */
const field = (xml: string, name: string): string =>
  (new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1] ?? '').replace(
    /&(amp|lt|gt|quot|apos);/g,
    (_, entity) => ENTITIES[entity],
  );
