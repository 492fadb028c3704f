import { gigabytes, roughDuration } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { JSON_OUTPUT } from '../library/command-options.ts';
import { counted } from '../page/drawing/text.ts';
import { resolveConfig } from '../run/config.ts';
import { atLeast, integer, oneOf, text } from '../run/domains.ts';
import { option } from '../run/option.ts';
import { defineCommand } from './flags.ts';

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
  options: {
    rows: option(integer(2, Number.MAX_SAFE_INTEGER), { help: 'rows, such as 1e9', isRequired: true }),
    columns: option(integer(1, Number.MAX_SAFE_INTEGER), { help: 'columns', isRequired: true }),
    dtype: option(oneOf('u8', 'f16', 'f32', 'f64'), {
      help: 'type of the values in the file',
      fast: 'f32',
    }),
    workers: option(integer(1, MOST_WORKERS), {
      help: 'workers, each with a core and, with --gpu, a card',
      fast: 2,
    }),
    gpu: option(oneOf('a100', 'h100', 'l4', 't4', 'none'), { help: 'card of each worker', fast: 'none' }),
    link: option(text(), { help: 'speed of the network at each machine, also to the file', fast: '10Gbit' }),
    clusters: option(integer(1, 1e6), { help: 'clusters that are expected', fast: 50 }),
    encoder: option(oneOf('none', 'autoencoder'), {
      help: 'cluster the latent vectors of this network',
      fast: 'none',
    }),
    labelsOut: option(oneOf('file', 'shards'), {
      help: 'where labels go: files that the coordinator writes, or parts that workers write',
      fast: 'file',
    }),
    price: option(atLeast(0), { help: 'money that a worker costs an hour', defaultText: 'none' }),
    json: JSON_OUTPUT,
  },
  examples: [
    ['plan --rows 1e9 --columns 768 --dtype f16 --workers 64 --gpu a100 --link 10Gbit', '64 cards'],
    ['plan --rows 1e6 --columns 784 --dtype u8 --encoder autoencoder', 'two cores'],
  ],
  async handler({ rows, columns: dim, dtype, workers, gpu: card, link, clusters, price, ...values }) {
    const { encoder, labelsOut, json } = values;
    const speed = linkSpeed(link);
    const { plan, resourceText } = await import('../coordinator/fit/plan.ts');
    const { layoutOf, layoutProblem } = await import('../model/layout.ts');
    const { sampleThreshold } = await import('../coordinator/fit/preparation/limits.ts');
    const config = await resolveConfig({ data: 'rows.npy', encoder, labelsOut });
    const gpu = card === 'none' ? null : card;

    const planned = (workers: number) => {
      // At most one worker for each shard is of use, and for each two of them while an encoder trains.
      const shards = Math.min(rows, Math.max(8, encoder === 'none' ? workers : 2 * workers));
      const layout = layoutOf(rows, dim, shards, 0n);
      const problem = layoutProblem(layout);
      if (problem) throw new UserError(`--rows ${rows}, --columns ${dim}, --workers ${workers}: ${problem}`);
      const sample = Math.round(rows * sampleThreshold(config, layout));
      const job = { config, layout, sample, clusters, valueBytes: DTYPES[dtype] };
      return { shards, ...plan(job, { workers, gpu, link: speed }) };
    };
    const [found, twice] = [planned(workers), planned(2 * workers)];
    const cost = price === undefined ? null : (price * workers * found.seconds) / 3600;
    if (json) {
      console.log(JSON.stringify({ ...found, cost, measured: gpu === null, twice }));
      return;
    }
    const { phases, seconds, limit, graph, memory, bytes, shards } = found;
    const size = gigabytes(rows * dim * DTYPES[dtype]);
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
