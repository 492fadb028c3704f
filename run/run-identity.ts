/** The final state of a run, from which updates go on. */
export const STATE = 'stream/state.ckpt';

/**
 * Which run it is, by its run.json, at which time: its id, and the hash of its final state, which is another one once it has gone on. New names change
 * neither.
 */
export const identityOf = ({
  id = '',
  files = {},
}: {
  id?: string;
  files?: Record<string, string>;
}): string => `${id} ${files[STATE] ?? ''}`;
