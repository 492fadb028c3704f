/**
 * What a header may be made of: nil, booleans, numbers, text, lists, and maps whose keys are text. Looked at token by
 * token before anything is decoded: decoders take memory for a list as long as it claims to be, call themselves for what
 * is nested, and give extension types meanings (references, code for records, regular expressions) that nobody here asks
 * for.
 */

/** How deep lists and maps may lie in one another. */
export const MAX_DEPTH = 64;
/** Values in all, each key of a map being one. */
export const MAX_VALUES = 1 << 20;

const EXTENSION = 'an extension or binary type';
const CUT = 'cut off, or followed by something';
const KEY = 'a key that is no text';
/** 0xc0 … 0xdf: bytes behind the token; −n: a text whose length is in n bytes; a word: refused. */
const FIXED: (number | string)[] = [
  ...[0, 'no type', 0, 0, EXTENSION, EXTENSION, EXTENSION, EXTENSION],
  ...[EXTENSION, EXTENSION, 4, 8, 1, 2, 4, 8],
  ...[1, 2, 4, 8, EXTENSION, EXTENSION, EXTENSION, EXTENSION],
  ...[EXTENSION, -1, -2, -4],
];

/** Why these bytes are not one plain value of msgpack; null: they are. Takes no memory to speak of. */
export function whyNotPlain(bytes: Uint8Array): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.byteLength;
  /** Values that are still to come, of the lists and maps that are open; whether it is a map. */
  const open: number[] = [1];
  const isMap: boolean[] = [false];
  let values = 1;
  let at = 0;
  const begin = (count: number, map: boolean) => {
    values += count;
    open.push(count);
    isMap.push(map);
  };
  const length = (size: number) => {
    const start = at;
    at += size;
    if (at > end) return Infinity;
    return size === 1 ? view.getUint8(start) : size === 2 ? view.getUint16(start) : view.getUint32(start);
  };
  for (;;) {
    while (open.at(-1) === 0) {
      open.pop();
      isMap.pop();
    }
    if (!open.length) return at === end ? null : CUT;
    const isKey = isMap[open.length - 1] && open[open.length - 1] % 2 === 0;
    open[open.length - 1]--;
    if (at >= end) return CUT;
    const token = bytes[at++];
    const isText = (token >= 0xa0 && token < 0xc0) || (token >= 0xd9 && token <= 0xdb);
    if (isKey && !isText) return KEY;
    if (token < 0x80 || token >= 0xe0) continue;
    if (token < 0x90) begin(2 * (token & 0x0f), true);
    else if (token < 0xa0) begin(token & 0x0f, false);
    else if (token < 0xc0) at += token & 0x1f;
    else if (token >= 0xde) begin(2 * length(token === 0xde ? 2 : 4), true);
    else if (token >= 0xdc) begin(length(token === 0xdc ? 2 : 4), false);
    else {
      const size = FIXED[token - 0xc0];
      if (typeof size === 'string') return size;
      const behind = size < 0 ? length(-size) : size;
      at += behind;
    }
    // One is a value that is not nested at all.
    if (open.length > MAX_DEPTH + 1) return 'nested too deep';
    if (values > MAX_VALUES) return 'too many values';
  }
}
