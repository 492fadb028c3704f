import type { Source } from '../../data/source.ts';
import { columnCalled, formatNumber } from '../../data/value-range.ts';
import type { Alarm, Drift } from '../../model/stream/findings.ts';

/** What is said of new rows that are unlike those before, and what to do. */

/** A column that has changed more than others, in words; null where none has changed much. */
export function changedColumn(
  { dim, names = null }: Pick<Source, 'dim' | 'names'>,
  before: Float32Array,
  now: Float32Array,
): string | null {
  const [old, fresh] = [columnMoments(before, dim), columnMoments(now, dim)];
  let [largest, text]: [number, string | null] = [LEAST_CHANGE, null];
  for (let j = 0; j < dim; j++) {
    const unit = old.deviation[j] || 1;
    const [moved, scaled] = [Math.abs(fresh.mean[j] - old.mean[j]) / unit, fresh.deviation[j] / unit];
    const spread = scaled > 0 ? Math.abs(Math.log(scaled)) : 0;
    if (Math.max(moved, spread) <= largest) continue;
    largest = Math.max(moved, spread);
    const [what, from, to] =
      moved >= spread
        ? ['mean', old.mean[j], fresh.mean[j]]
        : ['spread', old.deviation[j], fresh.deviation[j]];
    text = `the ${what} of ${columnCalled(names, j)} was ${formatNumber(from)} and is ${formatNumber(to)}`;
  }
  return text;
}

/** Standard deviations, or the logarithm of their ratio, from which on a column has changed. */
const LEAST_CHANGE = 0.5;

function columnMoments(rows: Float32Array, dim: number) {
  const n = rows.length / dim;
  const [mean, deviation] = [new Float64Array(dim), new Float64Array(dim)];
  for (let p = 0; p < rows.length; p++) mean[p % dim] += rows[p] / n;
  for (let p = 0; p < rows.length; p++) deviation[p % dim] += (rows[p] - mean[p % dim]) ** 2 / n;
  return { mean, deviation: deviation.map(Math.sqrt) };
}

const percent = (share: number) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

export function driftText(
  data: string,
  drift: Drift,
  alarms: readonly Alarm[],
  column: string | null,
): string {
  const texts: Partial<Record<Alarm, string>> = {
    ...('nats' in drift
      ? {
          unlike: `${percent(drift.unlike)} of them are less likely than 99 % of the earlier ones`,
          'less likely': `they are less likely by ${drift.nats.toFixed(drift.nats < 10 ? 2 : 0)} nats a row`,
        }
      : {
          missed: `the axes of the run miss at least ${percent(drift.missed)} more of their length`,
          apart: `${percent(drift.apart)} of them are among each other, with hardly an earlier one near them`,
        }),
    residual: `the encoder rebuilds them with an error that is ${percent(drift.residual ?? 0)} larger`,
    shares: `the shares of clusters differ by ${percent(drift.moved)} of the rows`,
  };
  const why = alarms.map((alarm) => texts[alarm]).join(', and ');
  const most = column ? `; most of all, ${column}` : '';
  const remedy = alarms.includes('residual')
    ? 'An update does not change the encoder: if such rows are to stay, train anew with them; if they are recorded otherwise now, undo that'
    : 'If clusters have come, gone or moved, that is what an update is for; if columns are measured otherwise now, undo that, or train anew; where earlier rows no longer count, update with --refit-transform and a short --half-life';
  return `${data}: the new rows are not like those before: ${why}${most}. ${remedy}`;
}
