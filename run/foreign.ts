import { fingerprint } from '../data/blocks.ts';
import { type Checkpoint, hashesOf } from './checkpoint.ts';
import { type RunConfig, removedOptions } from './config.ts';
import { differing, PATHS, type RunFile } from './run-file.ts';

/** Whether a checkpoint belongs to a run. */

/** With a limit, which decides where training ends, not how it gets there. */
const NOT_COMPARED = [...PATHS, 'maxEpochs'];

/**
 * What a checkpoint has that differs from the run, for people; null if it belongs to the run: the fingerprint of the rows,
 * the numeric identity and all options that determine its training, but for its limit, agree. `config`: the run's, with the defaults of options
 * that an earlier version did not write.
 */
export function foreignTo(
  { data, identity }: Pick<RunFile, 'data' | 'identity'>,
  config: RunConfig,
): (checkpoint: Checkpoint) => string | null {
  return (checkpoint) => {
    const { layout, stage } = checkpoint;
    const rows = stage === 'encode' ? data : { ...data, ...data.codes, ...data.sample };
    if (fingerprint(hashesOf(checkpoint)) !== rows.fingerprint || layout.dim !== rows.dim)
      return 'it was computed from other rows than those of run.json';
    const expected = { ...removedOptions(config.schedule), ...config, numericIdentity: identity };
    const found = { ...checkpoint.config, numericIdentity: checkpoint.identity };
    const [first, ...others] = differing(found, expected, NOT_COMPARED);
    if (!first) return null;
    const more = others.length ? ` (and ${others.length} more differ)` : '';
    const [name, value, other] = first;
    return `its ${name} is ${shown(value)}, that of run.json is ${shown(other)}${more}`;
  };
}

/** Characters of a value in a message. */
const MOST_SHOWN = 40;

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}
