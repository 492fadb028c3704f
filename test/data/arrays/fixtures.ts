import { readFileSync } from 'node:fs';
import { crc32, gunzipSync } from 'node:zlib';

const { files, ...known } = JSON.parse(readFileSync(new URL('fixtures.json', import.meta.url), 'utf8')) as {
  rows: number[];
  pca: number[];
  classes: string[];
  files: Record<string, string>;
};

/** What the files hold. */
export const { rows, pca, classes } = known;

/** A file as the library of its format wrote it: see make_fixtures.py. */
export const fixture = (name: string) => gunzipSync(Buffer.from(files[name], 'base64'));

/** A zip archive in which these members are stored. */
export function zipOf(members: Record<string, Uint8Array>): Buffer {
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  for (const [name, content] of Object.entries(members)) {
    const [local, entry] = [Buffer.alloc(30), Buffer.alloc(46)];
    local.write('PK\x03\x04', 'latin1');
    entry.write('PK\x01\x02', 'latin1');
    for (const [header, at] of [
      [local, 14],
      [entry, 16],
    ] as const) {
      header.writeUInt32LE(crc32(content), at);
      header.writeUInt32LE(content.length, at + 4);
      header.writeUInt32LE(content.length, at + 8);
      header.writeUInt16LE(name.length, at + 12);
    }
    entry.writeUInt32LE(Buffer.concat(parts).length, 42);
    parts.push(local, Buffer.from(name), Buffer.from(content));
    central.push(entry, Buffer.from(name));
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  for (const at of [8, 10]) end.writeUInt16LE(Object.keys(members).length, at);
  end.writeUInt32LE(Buffer.concat(central).length, 12);
  end.writeUInt32LE(Buffer.concat(parts).length, 16);
  return Buffer.concat([...parts, ...central, end]);
}

/** A safetensors file with this header, and these bytes of tensors. */
export function safetensorsOf(header: unknown, body: Uint8Array): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, body]);
}
