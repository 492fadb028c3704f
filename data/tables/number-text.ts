/** Numbers as people and programs write them. */

export type Decimal = '.' | ',';

const INFINITE = /^([+-]?)inf(inity)?$/i;

/** By the sign before decimals: digits in groups of three, with one sign between them. */
const GROUPED: Record<Decimal, RegExp> = {
  '.': /^[+-]?[1-9]\d{0,2}(?:([,'’\u00a0\u202f])\d{3})(?:\1\d{3})*(?:\.\d+)?$/,
  ',': /^[+-]?[1-9]\d{0,2}(?:([.'’\u00a0\u202f])\d{3})(?:\1\d{3})*(?:,\d+)?$/,
};

/** The value of a field without blanks around it; NaN for an empty field, `nan` and text. */
export function parseNumber(field: string, decimal: Decimal = '.'): number {
  const text = withPoint(field, decimal);
  const value = text === '' ? Number.NaN : Number(text);
  if (!Number.isNaN(value)) return value;
  const [, sign] = INFINITE.exec(field) ?? [];
  return sign === undefined ? value : Number(`${sign}Infinity`);
}

function withPoint(field: string, decimal: Decimal): string {
  if (GROUPED[decimal].test(field))
    return field
      .replace(/[^\d+,.-]/g, '')
      .replaceAll(decimal === '.' ? ',' : '.', '')
      .replace(',', '.');
  // A point where decimals have commas is no number.
  if (decimal === ',') return field.includes('.') ? 'NaN' : field.replace(',', '.');
  return field;
}

/** Is this a number with a decimal comma, and not one of thousands with groups? */
export const hasDecimalComma = (field: string) =>
  /\d,\d|^[+-]?,\d/.test(field) && Number.isNaN(parseNumber(field)) && !Number.isNaN(parseNumber(field, ','));

/** Is this a number with a decimal point, and not one of thousands with groups? */
export const hasDecimalPoint = (field: string) =>
  field.includes('.') && !Number.isNaN(parseNumber(field)) && Number.isNaN(parseNumber(field, ','));

/** Is this a number whose comma may be one of thousands or of decimals, such as 1,000? It is taken for thousands. */
export const isAmbiguous = (field: string) =>
  field.includes(',') && !Number.isNaN(parseNumber(field)) && !Number.isNaN(parseNumber(field, ','));
