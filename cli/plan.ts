import { gigabytes, roughDuration } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { counted } from '../page/drawing/text.ts';
import { resolveConfig } from '../run/config.ts';
import { atLeast, integer } from '../run/domains.ts';
import { validated } from '../run/option.ts';
import { defineCommand, numberFlag, REQUIRED, switchFlag, textFlag } from './flags.ts';

/** What a run on a cluster that need not exist would take. */

/** Bytes of a value in a file. */
const DTYPES = { u8: 1, f16: 2, f32: 4, f64: 8 };

/** Bits a second, by the unit of --link. */
const UNITS: Record<string, number> = { Mbit: 1e6, Gbit: 1e9 };

/** Twice as many, each with two shards while an encoder trains, are all shards that there can be. */
const MOST_WORKERS = 1 << 14;

/** Bytes a second. UserError if the link has no unit. */
function linkSpeed(link: string): number {
  const [, speed, unit] = /^(\d+(?:\.\d+)?|\.\d+)([MG]bit)(?:\/s)?$/.exec(link) ?? [];
  const bytes = (Number(speed) * UNITS[unit]) / 8;
  if (bytes > 0) return bytes;
  throw new UserError(`--link ${link} must be a speed with its unit, such as 10Gbit or 500Mbit`);
}

export const plan = defineCommand({
  command: 'plan',
  describe:
    'seconds, memory, bytes and money of a run on many machines, by what its pieces cost (docs/scale.md)',
  builder: {
    rows: numberFlag('rows, such as 1e9', REQUIRED),
    columns: numberFlag('columns', REQUIRED),
    dtype: textFlag('type of the values in the file', { choices: Object.keys(DTYPES), default: 'f32' }),
    workers: numberFlag('workers, each with a core and, with --gpu, a card', { default: 2 }),
    gpu: textFlag('card of each worker', { choices: ['a100', 'h100', 'l4', 't4', 'none'], default: 'none' }),
    link: textFlag('speed of the network at each machine, also to the file', { default: '10Gbit' }),
    clusters: numberFlag('clusters that are expected', { default: 50 }),
    encoder: textFlag('cluster the latent vectors of this network', {
      choices: ['none', 'autoencoder'],
      default: 'none',
    }),
    'labels-out': textFlag(
      'where labels go: files that the coordinator writes, or parts that workers write',
      {
        choices: ['file', 'shards'],
        default: 'file',
      },
    ),
    price: numberFlag('money that a worker costs an hour', { defaultDescription: 'none' }),
    json: switchFlag('print one JSON object instead of text'),
  },
  examples: [
    ['plan --rows 1e9 --columns 768 --dtype f16 --workers 64 --gpu a100 --link 10Gbit', '64 cards'],
    ['plan --rows 1e6 --columns 784 --dtype u8 --encoder autoencoder', 'two cores'],
  ],
  async handler(values) {
    const { dtype, encoder, json, gpu: card, link, labelsOut } = values;
    const count = (name: 'rows' | 'columns' | 'workers' | 'clusters', least: number, most: number) =>
      validated(integer(least, most), values[name], `--${name}`);
    const [rows, dim, workers, clusters] = [
      count('rows', 2, Number.MAX_SAFE_INTEGER),
      count('columns', 1, Number.MAX_SAFE_INTEGER),
      count('workers', 1, MOST_WORKERS),
      count('clusters', 1, 1e6),
    ];
    const price = values.price === undefined ? null : validated(atLeast(0), values.price, '--price');
    const speed = linkSpeed(link);
    const { GPUS, plan, resourceText } = await import('../coordinator/fit/plan.ts');
    const { layoutOf, layoutProblem } = await import('../model/layout.ts');
    const { sampleThreshold } = await import('../coordinator/fit/preparation/limits.ts');
    const config = await resolveConfig({ data: 'rows.npy', encoder, labelsOut });
    const gpu = card === 'none' ? null : (card as keyof typeof GPUS);

    const planned = (workers: number) => {
      // At most one worker for each shard is of use, and for each two of them while an encoder trains.
      const shards = Math.min(rows, Math.max(8, encoder === 'none' ? workers : 2 * workers));
      const layout = layoutOf(rows, dim, shards, 0n);
      const problem = layoutProblem(layout);
      if (problem) throw new UserError(`--rows ${rows}, --columns ${dim}, --workers ${workers}: ${problem}`);
      const sample = Math.round(rows * sampleThreshold(config, layout));
      const job = { config, layout, sample, clusters, valueBytes: DTYPES[dtype as keyof typeof DTYPES] };
      return { shards, ...plan(job, { workers, gpu, link: speed }) };
    };
    const [found, twice] = [planned(workers), planned(2 * workers)];
    const cost = price === null ? null : (price * workers * found.seconds) / 3600;
    if (json) {
      console.log(JSON.stringify({ ...found, cost, measured: gpu === null, twice }));
      return;
    }
    const { phases, seconds, limit, graph, memory, bytes, shards } = found;
    const size = gigabytes(rows * dim * DTYPES[dtype as keyof typeof DTYPES]);
    const on = `${counted(workers, 'worker')}, ${gpu ? `one ${card} each` : 'one core each'}`;
    console.log(
      `${rows.toLocaleString('en')} rows × ${dim}, ${dtype} (${size}); ${on}; --shards ${shards}; ${graph ? 'graph' : 'Gaussians'}, ${counted(clusters, 'cluster')}`,
    );
    for (const each of phases)
      console.log(
        `  ${each.name.padEnd(9)} ${each.seconds.toFixed(1).padStart(10)} s  ${resourceText(each.limit)}`,
      );
    console.log(`  ${'in all'.padEnd(9)} ${seconds.toFixed(1).padStart(10)} s  ${roughDuration(seconds)}`);
    console.log(
      `memory: ${gigabytes(memory.worker)} a worker, ${gigabytes(memory.coordinator)} the coordinator`,
    );
    console.log(
      `bytes: ${gigabytes(bytes.read)} read by all workers; ${gigabytes(bytes.sent)} sent by the coordinator, ${gigabytes(bytes.received)} received, ${gigabytes(bytes.written)} written`,
    );
    console.log(`limited by ${resourceText(limit)}`);
    console.log(
      `with twice the workers: ${roughDuration(twice.seconds)}, ${(seconds / twice.seconds).toFixed(2)} × as fast; limited by ${resourceText(twice.limit)}`,
    );
    if (cost !== null) console.log(`money: ${cost.toFixed(2)} for ${counted(workers, 'worker')}`);
    if (gpu)
      console.log(
        `${card}: not measured; 30 % of its published float32 operations, and its published bandwidth`,
      );
  },
});
