import { oneLine } from '../base/text.ts';
import type { Flags, FlagValues } from './flag.ts';

export const command = 'view <runs..>';
export const describe = 'open the page of a finished run, or a table of several to compare them';
export const builder = {
  http: {
    type: 'string',
    requiresArg: true,
    describe: 'HOST:PORT of the page, on this machine only',
    defaultDescription: '127.0.0.1:9464, or a free port',
  },
} as const satisfies Flags;
export const examples = [
  ['view runs/x', 'the page of a finished run'],
  ['view runs/*', 'a table of several, with what differs'],
  ['view runs/a runs/b', 'the clusters of two against each other'],
] as const;

type Args = FlagValues<typeof builder> & { runs: (string | number)[] };

export async function handler({ runs: paths, http }: Args): Promise<void> {
  const { parseBindAddress } = await import('../base/address.ts');
  const { DEFAULT_HTTP } = await import('../library/options.ts');
  const { keepOpen, openView, viewedRuns } = await import('../coordinator/view/open-view.ts');
  const runs = viewedRuns(paths.map(String), (message) =>
    console.error(oneLine(`dpmesh: warning: ${message}`)),
  );
  const address = http === undefined ? DEFAULT_HTTP : parseBindAddress('--http', http);
  const page = await openView(runs, { ...address, explicit: http !== undefined });
  const end = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end.abort());
  const what = runs.length === 1 ? runs[0].path : `${runs.length} runs`;
  console.error(oneLine(`${what}: ${page.url} (until Ctrl-C)`));
  await keepOpen(page, end.signal);
}
