/** Where rows end in bytes of CSV, or of JSON lines, as the readers of files find it, chunk by chunk. */
export interface RowEnds {
  /** The place after the next row that has more than blanks, from there on; null if these bytes have no more ends. Those that follow belong to the next call. */
  next(bytes: Uint8Array, from: number): number | null;
  /** The line on which the next byte is, from 1. */
  line(): number;
  /** The line on which quotes were opened that are not closed yet, and the bytes within them; null: none are open. */
  open(): { line: number; bytes: number } | null;
}

const [NEWLINE, RETURN, BLANK, QUOTE] = [...Buffer.from('\n\r "')];
const SEPARATORS = ',;\t|';

/**
 * Lines end with a newline, a carriage return, or both. In CSV quotes that open a field hide them; other quotes are text, about which the
 * reader of the rows complains.
 *
 * @param separator that fields have besides the usual ones
 */
export function createRowEnds(kind: 'csv' | 'jsonl', separator: string | null = null): RowEnds {
  const separates = new Uint8Array(256);
  for (const byte of Buffer.from(SEPARATORS)) separates[byte] = 1;
  const own = Buffer.from(separator ?? '');
  if (own.length === 1) separates[own[0]] = 1;
  let line = 1;
  /** Of the field: nothing but blanks yet, text, within quotes, or after a quote that closes them or is one of two. */
  let field: 'begun' | 'text' | 'quoted' | 'closed' = 'begun';
  let [hasText, hasSeparator, isAfterBlank, isAfterReturn] = [false, false, false, false];
  let [opened, within] = [0, 0];

  /** True if a row with more than blanks ends here. */
  function endOfLine(byte: number): boolean {
    // One of a pair counts.
    if (byte === NEWLINE && isAfterReturn) {
      isAfterReturn = false;
      return false;
    }
    line++;
    isAfterReturn = byte === RETURN;
    if (field === 'quoted') return false;
    const isRow = hasText;
    field = 'begun';
    hasText = hasSeparator = isAfterBlank = false;
    return isRow;
  }

  function quote(): void {
    // In a table without other separators, blanks are those.
    const begins = field === 'begun' || (isAfterBlank && !hasSeparator);
    if (field === 'quoted') field = 'closed';
    else if (field === 'closed' && !isAfterBlank) field = 'quoted';
    else if (begins) [field, opened, within] = ['quoted', line, 0];
    else field = 'text';
  }

  return {
    line: () => line,
    open: () => (field === 'quoted' ? { line: opened, bytes: within } : null),
    next(bytes, from) {
      for (let i = from; i < bytes.length; i++) {
        const byte = bytes[i];
        if (field === 'quoted') within++;
        if (byte === NEWLINE || byte === RETURN) {
          if (!endOfLine(byte)) continue;
          // A pair that is whole is not parted.
          if (!isAfterReturn || bytes[i + 1] !== NEWLINE) return i + 1;
          isAfterReturn = false;
          return i + 2;
        }
        isAfterReturn = false;
        if (byte > BLANK) hasText = true;
        if (kind === 'jsonl') continue;
        if (byte === QUOTE) quote();
        else if (field !== 'quoted') {
          if (separates[byte]) [field, hasSeparator] = ['begun', true];
          else if (byte !== BLANK) field = 'text';
        }
        isAfterBlank = byte === BLANK;
      }
      return null;
    },
  };
}
