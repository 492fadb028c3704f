// Mutated messages of a peer with a key: tsx bench/faults/fuzz.ts [--seed N] [--messages N]
import { fuzzCoordinator } from '../../test/coordinator/fuzz.ts';
import { note } from '../dpmesh.ts';
import { numberFlag, report, seed } from './fault.ts';

const messages = numberFlag('messages', 1_000_000);
const PARTS = 20;
const seen: Record<string, number> = {};
const memory: number[] = [];
let problem = '';
for (let part = 0; part < PARTS && !problem; part++) {
  try {
    for (const [what, times] of Object.entries(
      await fuzzCoordinator(seed + part, Math.ceil(messages / PARTS)),
    ))
      seen[what] = (seen[what] ?? 0) + times;
  } catch (error) {
    problem = `seed ${seed + part}: ${(error as Error).message}`;
  }
  memory.push(process.memoryUsage.rss() / 1e6);
  note(`${part + 1} of ${PARTS}, ${memory.at(-1)!.toFixed(0)} MB`);
}
const [early, late] = [memory[Math.floor(PARTS / 4)], memory.at(-1)!];
const counts = Object.entries(seen).map(([what, times]) => `${what} ${times.toLocaleString('en')}`);
report({
  name: 'fuzz',
  what: 'mutated and random messages to the coordinator from a peer that is let in, through codec, membership and dispatch',
  asked: '1,000,000, no crash, no state change, memory flat, refusals counted',
  measured: `${messages.toLocaleString('en')} messages: ${problem || 'nothing changed'}; ${counts.join(', ')}; memory ${early.toFixed(0)} → ${late.toFixed(0)} MB`,
  ok: !problem && late <= 1.1 * early,
});
