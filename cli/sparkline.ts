const LEVELS = '▁▂▃▄▅▆▇█';
const MOST = 512;

/** A row of numbers as bars of text, at most `width` of them; the lowest stands for the smallest. */
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

/** Adds a number to a row that stays short: of a long one, every second is kept. */
export function remember(values: number[], value: number): void {
  values.push(value);
  if (values.length <= MOST) return;
  for (let i = 0; 2 * i < values.length; i++) values[i] = values[2 * i];
  values.length = Math.ceil(values.length / 2);
}
