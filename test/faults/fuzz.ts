// Mutated messages to both sides: tsx test/faults/fuzz.ts [--seed N] [--messages N]. About 6 minutes.

import { note } from '../bench/dpmesh.ts';
import { describeCounts, numberFlag, report, seed, short } from './campaign.ts';
import { fuzzCoordinator } from './fuzz-coordinator.ts';
import { fuzzWorker } from './fuzz-worker.ts';

const messages = numberFlag('messages', short ? 20_000 : 1_000_000);
const PARTS = 20;
let problem = '';

/** Half of the messages, in parts, to see memory growth. */
async function half(name: string, fuzz: (seed: number, count: number) => Promise<Record<string, number>>) {
  const seen: Record<string, number> = {};
  const memory: number[] = [];
  for (let part = 0; part < PARTS && !problem; part++) {
    try {
      const counts = await fuzz(seed + part, Math.ceil(messages / 2 / PARTS));
      for (const [what, times] of Object.entries(counts)) seen[what] = (seen[what] ?? 0) + times;
    } catch (error) {
      problem = `${name}, seed ${seed + part}: ${(error as Error).message}`;
    }
    memory.push(process.memoryUsage.rss() / 1e6);
    note(`${name}: ${part + 1} of ${PARTS}, ${memory.at(-1)!.toFixed(0)} MB`);
  }
  // The heap of V8 reaches its size in the first parts.
  const [early, late] = [memory[PARTS / 2] ?? 0, memory.at(-1)!];
  note(`${name}: ${describeCounts(seen)}`);
  return {
    text: `memory of the ${name} ${early.toFixed(0)} → ${late.toFixed(0)} MB`,
    flat: late <= 1.1 * early,
  };
}

const halves = [await half('coordinator', fuzzCoordinator), await half('worker', fuzzWorker)];
report({
  name: 'fuzz',
  what: 'mutated and random messages, half to a coordinator from an accepted peer, half to a worker',
  target: '1,000,000, no crash, no state change, memory flat, rejections counted',
  measured: `${messages.toLocaleString('en')} messages: ${problem || 'nothing changed'}; ${halves.map(({ text }) => text).join('; ')}`,
  ok: !problem && halves.every(({ flat }) => flat),
});
