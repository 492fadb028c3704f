// npm run demo: clusters 70,000 MNIST images, embedded in ten dimensions, prints the result, and keeps its page for a while.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DEFAULT_HTTP } from '../../library/options.ts';
import { keepOpen, openView, viewedRuns } from '../../page/view/open-view.ts';
import type { Summary } from '../../run/summary.ts';
import { formatScore } from './dpmesh.ts';
import { freePort, isFree, MAIN, ROOT } from './processes.ts';

/** Seconds for which the page stays when nobody looks at it. */
const PATIENCE = 30;

const { host, port: usual } = DEFAULT_HTTP;
// The page of the finished run has the address of that of the run in progress.
const port = (await isFree(usual)) ? usual : await freePort();
const [data, labels, out] = [
  'docs/examples/mnist/mnist_umap10.npy',
  'docs/examples/mnist/mnist_labels.npy',
  'runs/demo',
];
const command = ['train', '--data', data, '--labels', labels, '--out', out, '--force'];
const flags = process.argv.slice(2);
console.error(`dpmesh ${[...command, ...flags].join(' ')}\n`);
// A Ctrl-C during the run is for the run, which this process waits for.
process.on('SIGINT', () => {});
const { status, stdout } = spawnSync(
  process.execPath,
  [MAIN, ...command, '--http', `${host}:${port}`, '--json', ...flags],
  { cwd: ROOT, encoding: 'utf8', stdio: ['inherit', 'pipe', 'inherit'] },
);
if (status !== 0) process.exit(status ?? 1);
const { k, acc, seconds }: Summary = JSON.parse(stdout);
const page = await openView(
  viewedRuns([join(ROOT, out)], () => {}),
  { host, port, explicit: true },
);
const end = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end.abort());
console.log(`
Without being given their number, dpmesh found ${k} clusters in ${seconds.toFixed(0)} s; matched to the ten digits, ACC is ${formatScore(acc)}.
scikit-learn's BayesianGaussianMixture(20) finds 14 clusters and ACC .920 on the same rows (measured once: docs/examples/mnist/README.md).
The run directory is ${out}: labels.npy has the cluster of each image, report/report.html the pictures.
Its page stays at ${page.url} until Ctrl-C, or ${PATIENCE} s after the last viewer has left; later: npx dpmesh view ${out}`);
await keepOpen(page, end.signal, PATIENCE);
