// What the words of texts cost: time and memory beyond those of a run without them.

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { generator } from '../../../model/random.ts';
import { readLabels } from '../../../run/labels.ts';
import { synth, tempPath, train } from '../dpmesh.ts';
import type { BenchmarkRow } from '../report.ts';
import { memoryWatch } from './size.ts';

const [ROWS, CLUSTERS, WORDS] = [1_000_000, 20, 20];
/** Words that all texts have, with frequencies as in a language (Zipf), and those that each cluster has besides. */
const [SHARED, OWN, OWN_SHARE] = [42_000, 400, 0.15];
const [MOST_SECONDS, MOST_MEGABYTES] = [20, 200];

/** A line for each label. */
async function writeTexts(path: string, labels: ArrayLike<number>): Promise<void> {
  const { uniform, below } = generator(1n, 'texts');
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  const vocabulary = Array.from({ length: SHARED + CLUSTERS * OWN }, () =>
    Array.from({ length: 3 + below(7) }, () => letters[below(letters.length)]).join(''),
  );
  const word = (label: number) =>
    uniform() < OWN_SHARE ? SHARED + label * OWN + below(OWN) : Math.floor(SHARED ** uniform()) - 1;
  const file = createWriteStream(path);
  for (let row = 0; row < labels.length; row += 1000) {
    const some = Array.from(Array.prototype.slice.call(labels, row, row + 1000) as number[], (label) =>
      Array.from({ length: WORDS }, () => vocabulary[word(label)]).join(' '),
    );
    if (!file.write(`${some.join('\n')}\n`)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'finish');
}

export const wordRows: BenchmarkRow[] = [
  {
    name: 'words',
    what: `${ROWS.toLocaleString('en')} texts of ${WORDS} words: what words and names take`,
    target: `≤ ${MOST_SECONDS} s, coordinator ≤ ${MOST_MEGABYTES} MB more than without`,
    async measure() {
      const files = await synth(CLUSTERS, ROWS, 8, 1);
      const texts = tempPath('texts.txt');
      await writeTexts(texts, (await readLabels(files.labels)).codes);
      const run = async (...more: string[]) => {
        const { watch, result } = memoryWatch();
        const flags = ['--workers', 2, '--max-epochs', 20, '--no-http', '--no-report', ...more];
        const { wall } = await train({ data: files.data }, flags, { watch });
        return { wall, megabytes: result().coordinator };
      };
      const [before, after] = [await run(), await run('--texts', texts)];
      const [seconds, megabytes] = [after.wall - before.wall, after.megabytes - before.megabytes];
      return {
        measured: `${seconds.toFixed(1)} s, ${megabytes} MB`,
        met: seconds <= MOST_SECONDS && megabytes <= MOST_MEGABYTES,
      };
    },
  },
];
