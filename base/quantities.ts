/** Counts, sizes and times as people read them. */

/** `1 cluster`, `1,234 clusters`. */
export const counted = (count: number, noun: string, plural = `${noun}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? noun : plural}`;

/** Such as `1.5 GB`. */
export const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;

const [MINUTE, HOUR] = [60, 3600];

/** A rough time, such as `40 s` or `3 h`. */
export function roughDuration(seconds: number): string {
  const rounded = (value: number) => Number(value.toPrecision(value < 10 ? 1 : 2)).toLocaleString('en');
  if (seconds < 1) return `${Number(seconds.toPrecision(1))} s`;
  if (seconds < 2 * MINUTE) return `${rounded(seconds)} s`;
  return seconds < 2 * HOUR ? `${rounded(seconds / MINUTE)} min` : `${rounded(seconds / HOUR)} h`;
}
