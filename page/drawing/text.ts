import type { Likelihood } from '../../run/events.ts';

/** Numbers and names as text in one style: grouped digits, a true minus sign, an en dash for a missing value. */

const MISSING = '–';
const counts = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

const isPresent = (value: number | null | undefined): value is number => !Number.isNaN(value ?? Number.NaN);

const minus = (text: string) => text.replace('-', '−');

/** A count: 70,000 */
export const count = (value: number | null | undefined) =>
  isPresent(value) ? minus(counts.format(value)) : MISSING;

/** A count in little space: 70,000; 1.25 M; 2.10 G. */
export function compactCount(value: number | null | undefined): string {
  if (!isPresent(value) || value < 1e6) return count(value);
  const [by, unit] = value < 1e9 ? [1e6, 'M'] : [1e9, 'G'];
  return `${(value / by).toPrecision(3)} ${unit}`;
}

/** Three significant digits: 0.224, 12.3, 1,234; 1.2e−5 below a ten-thousandth. */
export function threeDigits(value: number | null | undefined): string {
  if (!isPresent(value)) return MISSING;
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 1e-4 || size >= 1e7) return minus(value.toExponential(1)).replace('e-', 'e−').replace('e+', 'e');
  if (size >= 1000) return count(value);
  return minus(value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : 4));
}

/** The values of a table column, all with the decimals that give the largest three significant digits. */
export function columnTexts(values: readonly number[]): string[] {
  const largest = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const digits = Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(largest || 1))));
  return values.map((value) => minus(value.toFixed(digits)));
}

/** Decimals needed to write multiples of `step`. */
export const decimals = (step: number) => Math.max(0, -Math.floor(Math.log10(step) + 1e-9));

/** A log-ratio: −12.3 */
export const logRatioText = (value: number | null | undefined) =>
  !isPresent(value) ? MISSING : Math.abs(value) >= 1000 ? count(value) : minus(value.toFixed(1));

/** A fraction as a percentage: 12.3 % */
export const percent = (value: number | null | undefined, digits = 1) =>
  isPresent(value) ? `${(100 * value).toFixed(digits)} %` : MISSING;

/** Seconds: 8 ms, 4.2 s, 3 min 05 s, 2 h 07 min. */
export function duration(seconds: number | null | undefined): string {
  if (!isPresent(seconds)) return MISSING;
  if (seconds < 0.9995) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const [hours, minutes, rest] = clock(seconds);
  return hours ? `${hours} h ${twoDigits(minutes)} min` : `${minutes} min ${twoDigits(rest)} s`;
}

const twoDigits = (value: number) => String(value).padStart(2, '0');

/** Hours, minutes and seconds. */
function clock(seconds: number): [number, number, number] {
  const total = Math.round(seconds);
  return [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
}

/** Seconds in little space: 4.2 s, 3:05, 2:07:00. */
export function stopwatch(seconds: number): string {
  if (seconds < 59.95) return duration(seconds);
  const [hours, minutes, rest] = clock(seconds);
  return `${hours ? `${hours}:${twoDigits(minutes)}` : minutes}:${twoDigits(rest)}`;
}

/** The local time of day of an ISO date: 14:03:07. Empty if it is not a date. */
export function timeOfDay(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? '' : date.toLocaleTimeString('en-GB');
}

/** `maxEpochs` → max epochs */
export const splitCamelCase = (name: string) =>
  name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** Four significant digits, as precise as anybody reads them. */
export function significant(value: number): string {
  const short = Number(value.toPrecision(4));
  const size = Math.abs(short);
  return minus(size >= 1e7 || (size > 0 && size < 1e-4) ? short.toExponential() : String(short));
}

/** A number in few characters: 940, 1.2M, 3e-5. */
export function shortNumber(value: number): string {
  const size = Math.abs(value);
  const [unit, letter] = UNITS.find(([unit]) => size >= unit * 0.9995) ?? [1, ''];
  const text =
    size !== 0 && (size < 1e-3 || size >= 1e15)
      ? Number(value.toPrecision(3)).toExponential().replace('+', '')
      : String(Number((value / unit).toPrecision(3))) + letter;
  return minus(text);
}

const UNITS = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/** Such as `graph likelihood: asked for`. */
export const likelihoodText = (likelihood: Likelihood, why: string): string =>
  `${likelihood === 'graph' ? 'graph' : 'Gaussian'} likelihood: ${why}`;

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Escapes text for XML and HTML. Characters that XML forbids become replacement characters. */
export function escaped(text: string): string {
  return (
    text
      .replace(/\p{Surrogate}/gu, '\ufffd')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
      .replace(/[&<>"]/g, (letter) => ENTITIES[letter])
  );
}
