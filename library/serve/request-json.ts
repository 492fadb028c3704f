import { yieldToEventLoop } from '../../base/slices.ts';
import { UserError } from '../../base/user-error.ts';

/**
 * JSON of anybody, nearly all of it numbers. Its bytes are looked through before anything is parsed, and what is parsed at once is so little
 * that others do not notice, whatever it is.
 */

/** Of all that is beside the numbers: bytes; texts, lists, objects and what separates them; and how deep one lies in another. */
const [MOST_BYTES, MOST_TOKENS, MOST_DEPTH] = [1 << 20, 10_000, 32];
/** Lists of numbers: a request needs one. */
const MOST_LISTS = 8;
/** Bytes of numbers that are parsed at once, and of a number with what is around it, in rows of very many. */
const [PIECE_BYTES, NUMBER_BYTES] = [1 << 17, 32];

/** In an element of a list in an object, where requests have `data`. */
const DATA_DEPTH = 3;
/** Bytes of `"data"`, with each letter as an escape. */
const MOST_KEY_BYTES = 26;

const [TAB, LF, CR, SPACE, QUOTE, COMMA, COLON] = [...Buffer.from('\t\n\r ",:')];
const [LIST, LIST_END, OBJECT, OBJECT_END, BACKSLASH] = [...Buffer.from('[]{}\\')];

/** Numbers of a list, or of rows in it. */
export interface NumberList {
  /** In pieces. */
  pieces: readonly Float32Array[];
  count: number;
  /** A number as it was sent. */
  sent(at: number): number;
}

export interface RequestJson {
  /** Where a request has a list of numbers, this has `[i]`, the index in `lists`. */
  content: unknown;
  lists: NumberList[];
}

/**
 * What JSON says. `take`: called with the bytes of memory for numbers before they are read. A UserError where it is no JSON, has too much beside the numbers, or something else in
 * their place, or rows of another number of columns.
 */
export async function readRequestJson(
  json: Buffer,
  columns: number,
  take: (bytes: number) => void,
): Promise<RequestJson> {
  const lists: NumberList[] = [];
  const others: Buffer[] = [];
  let [depth, tokens, limit, from] = [0, 0, MOST_BYTES, 0];
  /** The last text, and the last byte that is not space. */
  let [text, last] = [json.subarray(0, 0), 0];
  let isData = false;
  for (let at = 0; at < json.length; at++) {
    if (at > limit)
      throw refusal(
        413,
        `the request has more than ${MOST_BYTES} bytes of JSON beside its numbers: leave them out`,
      );
    const byte = json[at];
    if (byte === SPACE || byte === LF || byte === CR || byte === TAB) continue;
    if (byte === QUOTE) {
      const begin = at++;
      for (; at <= limit && at < json.length && json[at] !== QUOTE; at++) if (json[at] === BACKSLASH) at++;
      text = json.subarray(begin, at + 1);
      tokens++;
    } else if (byte === COLON) {
      isData = depth === DATA_DEPTH && isKey(text);
      tokens++;
    } else if (byte === COMMA) tokens++;
    else if (byte === LIST_END || byte === OBJECT_END) depth--;
    else if (byte === LIST && last === COLON && isData) {
      const found = await readNumbers(json, at + 1, columns, take);
      others.push(json.subarray(from, at + 1), Buffer.from(String(lists.length)));
      lists.push(found);
      limit += found.end - at;
      from = at = found.end;
    } else if (byte === LIST || byte === OBJECT) {
      depth++;
      tokens++;
    }
    last = json[at];
    if (depth > MOST_DEPTH || tokens > MOST_TOKENS || lists.length > MOST_LISTS)
      throw refusal(400, 'the request has too many values beside its numbers: send inputs and outputs only');
  }
  others.push(json.subarray(from));
  try {
    return { content: JSON.parse(Buffer.concat(others).toString()), lists };
  } catch {
    throw refusal(
      400,
      'the request is not JSON, which has no NaN nor Infinity: send an object with inputs, as the Open Inference Protocol has it',
    );
  }
}

function isKey(text: Buffer): boolean {
  if (text.length > MOST_KEY_BYTES) return false;
  try {
    return JSON.parse(text.toString()) === 'data';
  } catch {
    return false;
  }
}

/** The numbers of a list whose first byte is there. `end`: the place of its last bracket. */
async function readNumbers(
  json: Buffer,
  begin: number,
  columns: number,
  take: (bytes: number) => void,
): Promise<NumberList & { end: number }> {
  const areRows = /^[ \t\n\r]*\[/.test(json.toString('latin1', begin, begin + PIECE_BYTES));
  const parse = areRows ? rowsIn : numbersIn;
  const bytes = Math.max(PIECE_BYTES, NUMBER_BYTES * columns);
  const pieceOf = !areRows ? someNumbers : bytes > PIECE_BYTES ? oneRow : someRows;
  const places: { from: number; to: number }[] = [];
  const pieces: Float32Array[] = [];
  let [at, count] = [begin, 0];
  for (;;) {
    if (pieces.length) await yieldToEventLoop();
    const text = json.toString('latin1', at, at + bytes);
    const [{ length: skipped }, mark] = /^[ \t\n\r]*([,\]]?)[ \t\n\r]*/.exec(text)!;
    if (mark === ']') return { pieces, count, sent, end: at + text.indexOf(']') };
    const length = pieceOf(text.slice(skipped));
    // There is a comma before each piece but the first.
    if (length < 1 || (mark === ',') !== pieces.length > 0) throw notNumbers(count);
    const place = { from: at + skipped, to: at + skipped + length };
    const numbers = parse(text.slice(skipped, skipped + length), count, columns);
    take(Float32Array.BYTES_PER_ELEMENT * numbers.length);
    pieces.push(new Float32Array(numbers));
    places.push(place);
    count += numbers.length;
    at = place.to;
  }

  function sent(wanted: number): number {
    let [index, first] = [0, 0];
    while (wanted >= first + pieces[index].length) first += pieces[index++].length;
    const { from, to } = places[index];
    return parse(json.toString('latin1', from, to), first, columns)[wanted - first];
  }
}

// The first numbers or rows of a text that goes on: how many characters of it they are, without the comma behind them.
function someNumbers(text: string): number {
  const end = text.indexOf(']');
  return end < 0 ? text.lastIndexOf(',') : end;
}
function someRows(text: string): number {
  let end = -1;
  for (let at = text.indexOf(']'); at >= 0; at = text.indexOf(']', at + 1)) {
    end = at;
    let next = at + 1;
    while (' \t\n\r'.includes(text.charAt(next)) && next < text.length) next++;
    if (text.charAt(next) === ']') break;
  }
  return end + 1;
}
/** Of numbers only: anything else of that length would take long. */
const oneRow = (text: string) => /^\[[^[\]{"]*\]/.exec(text)?.[0].length ?? 0;

/** Numbers in JSON. `first`: the place of the first among those of the request. */
function numbersIn(text: string, first: number): number[] {
  const numbers = itemsIn(text, first);
  const wrong = numbers.findIndex((value) => typeof value !== 'number');
  if (wrong >= 0) throw notNumber(first + wrong);
  return numbers as number[];
}

function rowsIn(text: string, first: number, columns: number): number[] {
  const numbers: number[] = [];
  for (const row of itemsIn(text, first)) {
    if (!Array.isArray(row)) throw notNumber(first + numbers.length);
    if (row.length !== columns)
      throw refusal(400, `data: a row has ${row.length} numbers, and must have ${columns}`);
    for (const value of row) {
      if (typeof value !== 'number') throw notNumber(first + numbers.length);
      numbers.push(value);
    }
  }
  return numbers;
}

function itemsIn(text: string, first: number): unknown[] {
  try {
    return JSON.parse(`[${text}]`);
  } catch {
    throw notNumbers(first);
  }
}

const notNumber = (at: number) => refusal(400, `data: value ${at} (counted from 0) is not a number`);
const notNumbers = (first: number) =>
  refusal(
    400,
    `data: at value ${first} (counted from 0) or after it there is something other than numbers, or rows of them, and JSON has no NaN nor Infinity`,
  );

/** A UserError that is answered with this status. */
export const refusal = (statusCode: number, message: string) =>
  Object.assign(new UserError(message), { statusCode });
