// Mutated messages to both sides: tsx test/faults/fuzz.ts [--seed N] [--messages N]. About 6 minutes.

import { note } from '../../bench/dpmesh.ts';
import { inWords, numberFlag, report, seed, short } from './fault.ts';
import { fuzzCoordinator } from './fuzz-coordinator.ts';
import { fuzzWorker } from './fuzz-worker.ts';

const messages = numberFlag('messages', short ? 20_000 : 1_000_000);
const PARTS = 20;
let problem = '';

/** Half of the messages, in parts, so that growth shows. */
async function half(name: string, fuzz: (seed: number, count: number) => Promise<Record<string, number>>) {
  const seen: Record<string, number> = {};
  const memory: number[] = [];
  for (let part = 0; part < PARTS && !problem; part++) {
    try {
      const found = await fuzz(seed + part, Math.ceil(messages / 2 / PARTS));
      for (const [what, times] of Object.entries(found)) seen[what] = (seen[what] ?? 0) + times;
    } catch (error) {
      problem = `${name}, seed ${seed + part}: ${(error as Error).message}`;
    }
    memory.push(process.memoryUsage.rss() / 1e6);
    note(`${name}: ${part + 1} of ${PARTS}, ${memory.at(-1)!.toFixed(0)} MB`);
  }
  // V8's heap finds its size in the first parts.
  const [early, late] = [memory[PARTS / 2] ?? 0, memory.at(-1)!];
  return {
    text: `to the ${name}: ${inWords(seen)}; memory ${early.toFixed(0)} → ${late.toFixed(0)} MB`,
    flat: late <= 1.1 * early,
  };
}

const halves = [await half('coordinator', fuzzCoordinator), await half('worker', fuzzWorker)];
report({
  name: 'fuzz',
  what: 'mutated and random messages: half to a coordinator from a peer that is let in (through codec, registry and dispatcher), half to a worker over its socket, with rounds in between whose results must not change',
  asked: '1,000,000, no crash, no state change, memory flat, refusals counted',
  measured: `${messages.toLocaleString('en')} messages: ${problem || 'nothing changed'}; ${halves.map(({ text }) => text).join('; ')}`,
  ok: !problem && halves.every(({ flat }) => flat),
});
