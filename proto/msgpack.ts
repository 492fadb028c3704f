/**
 * Headers may contain nil, booleans, numbers, text, lists, and maps whose keys are text. They are checked token by token
 * before they are decoded: decoders allocate a list by its claimed length, recurse into nested values, and interpret extension
 * types (references, code for records, regular expressions) that this protocol does not use.
 */

/** Maximum nesting of lists and maps. */
export const MAX_DEPTH = 64;
/** Maximum number of values, including the keys of maps. */
export const MAX_VALUES = 1 << 20;

const EXTENSION = 'an extension or binary type';
const CUT = 'truncated, or followed by other bytes';
const KEY = 'a key that is not text';
/** By token 0xc0 … 0xdf: the number of bytes that follow; −n for a text whose length is in n bytes; or why it is rejected. */
const FIXED: (number | string)[] = [
  ...[0, 'an unused type', 0, 0, EXTENSION, EXTENSION, EXTENSION, EXTENSION],
  ...[EXTENSION, EXTENSION, 4, 8, 1, 2, 4, 8],
  ...[1, 2, 4, 8, EXTENSION, EXTENSION, EXTENSION, EXTENSION],
  ...[EXTENSION, -1, -2, -4],
];

/** Why these bytes are not exactly one plain msgpack value; null if they are. Memory use is bounded by MAX_DEPTH. */
export function whyNotPlain(bytes: Uint8Array): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.byteLength;
  /** A stack of the open lists and maps: the number of values still to come, and whether it is a map. */
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
      // Not in one expression: `length` advances `at`, too.
      const skipped = size < 0 ? length(-size) : size;
      at += skipped;
    }
    // The outermost entry stands for the value itself.
    if (open.length > MAX_DEPTH + 1) return 'nested too deeply';
    if (values > MAX_VALUES) return 'too many values';
  }
}
