import { counted } from '../base/quantities.ts';
import { oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { SERVE } from '../library/command-options.ts';
import { FOLLOW, type FollowedBatch, type FollowOptions } from '../library/follow/options.ts';
import { duration } from '../page/drawing/text.ts';
import { defineCommand, pickOptions } from './flags.ts';
import { onSignal, reportProblem } from './process.ts';
import { createDisplay } from './progress.ts';

// The commands that run until they are stopped.

export const follow = defineCommand({
  command: 'follow <run>',
  describe: 'update a finished run with the rows of files as they arrive, batch by batch',
  options: FOLLOW,
  examples: [
    ['follow runs/x --data incoming', 'labels of each file in runs/x-follow/labels, until Ctrl-C'],
    ["follow runs/x --data 'incoming/*.parquet' --every 600", 'an update every ten minutes, or 10,000 rows'],
    ['follow runs/x --data - --lazy 0.1 < rows.csv', 'lines of standard input, labelled at once'],
    ['follow runs/x --data incoming --once', 'take what has come since the last time, as from cron'],
  ],
  async handler(values) {
    const { run, data, json } = values;
    const { follow } = await import('../library/follow/follow.ts');
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
    const rows = isPiped ? process.stdin : data;
    const how = { ...pickOptions(FOLLOW, values), run, data: rows, log: line, signal: end.signal };
    const batches = follow(how as FollowOptions);
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
});

/** Serves models to programs that ask for labels. */
export const serve = defineCommand({
  command: 'serve <runs..>',
  describe: 'label rows that come over HTTP with the models of finished runs (Open Inference Protocol)',
  options: SERVE,
  examples: [
    ['serve runs/x', 'labels at http://127.0.0.1:8080/v2/models/x/infer, until Ctrl-C'],
    ['serve runs/a runs/b --http 0.0.0.0:8080 --http-token TOKEN', 'two models, for other machines'],
    ['serve runs/x-follow --watch', 'the newest update of a follow'],
  ],
  async handler({ runs, http, httpToken = process.env.DPMESH_HTTP_TOKEN, watch }) {
    const { serve } = await import('../library/serve/serve.ts');
    const log = (line: string) => console.error(oneLine(line));
    const server = await serve({ runs, http, httpToken, watch, log });
    for (const { run, url } of server.models) log(`${run}: ${url}`);
    await new Promise<void>((resolve) => onSignal(() => resolve()));
    await server.close();
  },
});

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
