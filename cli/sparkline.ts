const LEVELS = '▁▂▃▄▅▆▇█';
const MAX_VALUES = 512;

/** The values as at most `width` bars of text, of heights from the smallest to the largest value. */
export function sparkline(values: readonly number[], width: number): string {
  const count = Math.min(width, values.length);
  const shown = Array.from({ length: count }, (_, i) => {
    const [from, to] = [i, i + 1].map((at) => Math.floor((at * values.length) / count));
    return Math.max(...values.slice(from, to));
  });
  const [low, high] = [Math.min(...shown), Math.max(...shown)];
  const level = (value: number) =>
    high > low ? Math.round(((value - low) / (high - low)) * (LEVELS.length - 1)) : 0;
  return shown.map((value) => LEVELS[level(value)]).join('');
}

/** Appends a value. When there are too many, every second one is dropped. */
export function remember(values: number[], value: number): void {
  values.push(value);
  if (values.length <= MAX_VALUES) return;
  for (let i = 0; 2 * i < values.length; i++) values[i] = values[2 * i];
  values.length = Math.ceil(values.length / 2);
}
