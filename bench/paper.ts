// npm run bench:paper [-- usps mnist fashion]: the paper's schedule beside the published numbers. Takes a while.
import { embedding, score, train } from './dpmesh.ts';

/** USPS and MNIST: the seed document's table (300 epochs); Fashion-MNIST: the paper, mean of ten runs. */
const PUBLISHED = {
  usps: { k: 6, nmi: 0.797, ari: 0.661, acc: 0.66 },
  mnist: { k: 11, nmi: 0.934, ari: 0.925, acc: 0.968 },
  fashion: { k: 10, nmi: 0.68, ari: 0.51, acc: 0.62 },
};
type Name = keyof typeof PUBLISHED;

const line = (
  what: string,
  { k, nmi, ari, acc }: Record<'k', number> & Record<'nmi' | 'ari' | 'acc', number | null>,
) =>
  console.log(
    `  ${what.padEnd(12)} K ${String(k).padStart(2)}  NMI ${score(nmi)}  ARI ${score(ari)}  ACC ${score(acc)}`,
  );

const all = Object.keys(PUBLISHED) as Name[];
const named = process.argv.slice(2);
if (named.some((name) => !(name in PUBLISHED))) {
  console.error(`data sets: ${all.join(', ')}`);
  process.exit(2);
}
for (const name of named.length ? (named as Name[]) : all) {
  const run = await train(embedding(name), ['--schedule', 'paper'], { minutes: 60 });
  console.log(`${name}, --schedule paper, ${run.epochs} epochs, ${run.seconds.toFixed(0)} s`);
  line('published', PUBLISHED[name]);
  line('here', run);
}
