/** Numbers as text, all of one style: thin groups, a true minus, an en dash for nothing. */

const NOTHING = '–';
const counts = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

const known = (value: number | null | undefined): value is number =>
  value !== null && value !== undefined && !Number.isNaN(value);

const minus = (text: string) => text.replace('-', '−');

/** A count: 70,000 */
export const count = (value: number | null | undefined) =>
  known(value) ? minus(counts.format(value)) : NOTHING;

/** A count where there is little room: 70,000; 1.25 M; 2.1 G. */
export function short(value: number | null | undefined): string {
  if (!known(value) || value < 1e6) return count(value);
  const [by, unit] = value < 1e9 ? [1e6, 'M'] : [1e9, 'G'];
  return `${(value / by).toPrecision(3)} ${unit}`;
}

/** Three significant digits: 0.224, 12.3, 1,234; 1.2e−5 below a ten-thousandth. */
export function figure(value: number | null | undefined): string {
  if (!known(value)) return NOTHING;
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 1e-4 || size >= 1e7) return minus(value.toExponential(1)).replace('e-', 'e−').replace('e+', 'e');
  if (size >= 1000) return count(value);
  return minus(value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : 4));
}

/** Values of one column, all with as many decimals as leave the largest three significant digits. */
export function column(values: readonly number[]): string[] {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const digits = Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(largest || 1))));
  return values.map((value) => minus(value.toFixed(digits)));
}

/** Decimals that multiples of this step need. */
export const decimals = (step: number) => Math.max(0, -Math.floor(Math.log10(step) + 1e-9));

/** A log-ratio: −12.3 */
export const ratio = (value: number | null | undefined) =>
  !known(value) ? NOTHING : Math.abs(value) >= 1000 ? count(value) : minus(value.toFixed(1));

/** A share: 12.3 % */
export const percent = (value: number | null | undefined, digits = 1) =>
  known(value) ? `${(100 * value).toFixed(digits)} %` : NOTHING;

/** Seconds: 8 ms, 4.2 s, 3 min 05 s, 2 h 07 min. */
export function duration(seconds: number | null | undefined): string {
  if (!known(seconds)) return NOTHING;
  if (seconds < 0.9995) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** The same where there is little room: 4.2 s, 3:05, 2:07:00. */
export function stopwatch(seconds: number): string {
  if (seconds < 59.95) return duration(seconds);
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  const rest = two(whole % 60);
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest}`;
}

/** The time of day of an ISO date, here: 14:03:07 */
export function clock(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? '' : date.toLocaleTimeString('en-GB');
}

/** `maxEpochs` → max epochs */
export const words = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
