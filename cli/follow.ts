import { UserError } from '../base/user-error.ts';
import { counted, duration } from '../page/drawing/text.ts';
import type { ValuesOf } from '../run/option.ts';
import { FOLLOW_OPTIONS, type FollowedBatch } from '../streams/follow/options.ts';
import {
  type Command,
  type Flag,
  flagsFor,
  flagsOf,
  pickOptions,
  REQUIRED,
  type RunValues,
  switchFlag,
  textFlag,
} from './flags.ts';
import { onSignal, reportProblem } from './process.ts';
import { createDisplay } from './progress.ts';
import { runOptionsOf } from './run-config.ts';

const { workers, gpus, 'per-gpu': perGpu, backend, 'require-gpu': requireGpu, gpu } = flagsFor('update');

const { once, ...data } = flagsOf(FOLLOW_OPTIONS);
const [DATA, RUN] = [{ group: 'Data:' }, { group: 'Run:' }];
const ofRun = ({ default: _, ...flag }: Flag): Flag => ({ ...flag, defaultDescription: 'that of the run' });

export const follow: Command = {
  command: 'follow <run>',
  describe: 'update a finished run with the rows of files as they arrive, batch by batch',
  builder: {
    data: textFlag(
      "where files of rows arrive, with the columns of the run: a folder, a pattern in quotes, such as 'incoming/*.parquet', s3://BUCKET/FOLDER/, a topic, kafka://HOST:PORT/TOPIC, or - for lines of CSV or JSON on standard input",
      { ...REQUIRED, ...DATA },
    ),
    ...data,
    out: textFlag('folder of the follow: the labels of each file, and the last two updates', {
      defaultDescription: '<run>-follow',
      ...RUN,
    }),
    once,
    json: { ...switchFlag('print a line of JSON for each batch'), ...RUN },
    ...{ workers, gpus, 'per-gpu': perGpu },
    backend: ofRun(backend),
    ...{ 'require-gpu': requireGpu, gpu },
    http: textFlag('HOST:PORT at which Prometheus finds metrics, such as 127.0.0.1:9464', {
      defaultDescription: 'none',
      group: 'Monitoring:',
    }),
  },
  examples: [
    ['follow runs/x --data incoming', 'labels of each file in runs/x-follow/labels, until Ctrl-C'],
    ["follow runs/x --data 'incoming/*.parquet' --every 600", 'an update every ten minutes, or 10,000 rows'],
    ['follow runs/x --data - --lazy 0.1 < rows.csv', 'lines of standard input, labelled at once'],
    ['follow runs/x --data incoming --once', 'take what has come since the last time, as from cron'],
  ],
  async handler({ run, data, out, http, json, ...values }: FollowValues) {
    const { follow } = await import('../streams/follow/follow.ts');
    const { http: _, httpToken: __, ...computing } = await runOptionsOf(values);
    const end = new AbortController();
    const { line } = createDisplay(0);
    onSignal(() => {
      line('ends after this batch; Ctrl-C again ends at once, and the batch is taken again the next time');
      end.abort();
    });
    const isPiped = data === '-';
    if (isPiped && process.stdin.isTTY)
      throw new UserError(
        'standard input (-) has no data: pipe lines into it, as in ./rows | dpmesh follow …',
      );
    const how = { out, http, ...pickOptions(FOLLOW_OPTIONS, values), ...computing, log: line };
    const batches = follow({
      ...{ ...how, run: String(run), data: isPiped ? process.stdin : data },
      signal: end.signal,
    });
    try {
      for await (const batch of batches)
        if (json) console.log(JSON.stringify(batch));
        else line(batchText(batch));
    } catch (error) {
      if (!reportProblem(error)) throw error;
    } finally {
      // What has not been read keeps the process alive.
      if (isPiped) process.stdin.destroy();
    }
  },
};

interface FollowValues extends Omit<RunValues, 'http'>, Partial<ValuesOf<typeof FOLLOW_OPTIONS>> {
  run: string;
  data: string;
  out?: string;
  http?: string;
  json?: boolean;
}

/** What is printed of a batch. */
function batchText({
  update,
  parts,
  rows,
  k,
  born,
  gone,
  alarm,
  waiting,
  seconds,
  trained,
}: FollowedBatch): string {
  const time = new Date().toTimeString().slice(0, 8);
  const changes = [
    ...(born.length ? [`new ${born.join(', ')}`] : []),
    ...(gone.length ? [`gone ${gone.join(', ')}`] : []),
  ];
  return [
    `${time}  ${trained ? `update ${update}` : 'labels'}: ${counted(rows, 'row')} of ${counted(parts.length, 'part')}`,
    `K ${k}${changes.length ? ` (${changes.join('; ')})` : ''}`,
    ...(alarm ? ['drift'] : []),
    duration(seconds),
    ...(waiting ? [`${counted(waiting, 'part')} waiting`] : []),
  ].join(', ');
}
