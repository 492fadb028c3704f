import type { WorkUnit } from '../../proto/messages.ts';
import type { Tensors } from '../../proto/tensors.ts';
import { countWords, type TextRows } from '../../run/passes/count-words.ts';
import type { DescribedTexts } from '../../run/passes/describe-texts.ts';
import type { Ports } from './run-state.ts';

/** What the texts of these rows are about: workers count their words, and the trainer merges the counts in the order of the rows. */
export async function wordsOf(
  { config, out, dispatcher, server, trainer }: Ports<'config' | 'dispatcher' | 'out' | 'server' | 'trainer'>,
  rows: TextRows,
): Promise<DescribedTexts> {
  const counted = await countWords(out, config, rows, async (units, task, read) => {
    await trainer.beginTerms(task.k);
    server.serveTexts(read);
    const inOrder = orderOf(units);
    let merging = Promise.resolve();
    try {
      await dispatcher.round({
        tasks: [task],
        units,
        streams: true,
        each(unit, [part]) {
          for (const next of inOrder(unit, part)) merging = merging.then(() => trainer.addTerms(next));
          merging.catch(dispatcher.abort);
        },
      });
      await merging;
    } finally {
      server.serveTexts(null);
    }
  });
  return trainer.describeTexts(counted);
}

/** Given results as they come, returns those that are next in the order of the units. */
function orderOf(units: readonly WorkUnit[]) {
  const waiting = new Map<number, Tensors>();
  let next = 0;
  return function* (unit: WorkUnit, part: Tensors) {
    waiting.set(unit.from, part);
    for (let own = waiting.get(units[next]?.from); own; own = waiting.get(units[next]?.from)) {
      waiting.delete(units[next++].from);
      yield own;
    }
  };
}
