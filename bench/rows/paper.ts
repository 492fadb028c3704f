import { embedding, score, train } from '../dpmesh.ts';
import type { Row } from './row.ts';

/** USPS and MNIST: the seed document's table (300 epochs); Fashion-MNIST: the paper, mean of ten runs. */
const PUBLISHED = {
  usps: { k: 6, nmi: 0.797, ari: 0.661, acc: 0.66 },
  mnist: { k: 11, nmi: 0.934, ari: 0.925, acc: 0.968 },
  fashion: { k: 10, nmi: 0.68, ari: 0.51, acc: 0.62 },
};
/** Runs of theirs differ by more than this among themselves. */
const TOLERANCE = 0.02;

type Name = keyof typeof PUBLISHED;
type Scores = { k: number } & Record<'nmi' | 'ari' | 'acc', number | null>;

const text = ({ k, nmi, ari, acc }: Scores) =>
  `K ${k}, NMI ${score(nmi)}, ARI ${score(ari)}, ACC ${score(acc)}`;

/** The paper's own schedule beside its published numbers. */
function paper(name: Name): Row {
  const published = PUBLISHED[name];
  return {
    name: `paper-${name}`,
    what: `${name.toUpperCase()} embedding, \`--schedule paper\``,
    asked: `no worse than published (${text(published)}) less ${score(TOLERANCE)}`,
    onRequest: true,
    async measure() {
      const run = await train(embedding(name), ['--schedule', 'paper'], { minutes: 60 });
      return {
        measured: `${text(run)}; ${run.epochs} epochs, ${run.seconds.toFixed(0)} s`,
        met: (['nmi', 'ari', 'acc'] as const).every((of) => run[of]! >= published[of] - TOLERANCE),
      };
    },
  };
}

export const paperRows: Row[] = [paper('usps'), paper('mnist'), paper('fashion')];
