import type { Flags } from './flag.ts';
import { continueRun, continuingFlags, builder as resumeFlags } from './resume.ts';

const { 'max-epochs': maxEpochs } = continuingFlags;

export const command = 'finish <run>';
export const describe =
  'label all rows of a run that was stopped, as of its newest checkpoint, without training on';
export const builder: Flags = {
  ...resumeFlags,
  // With a message that says why not.
  'max-epochs': { ...maxEpochs, hidden: true },
};
export const examples = [
  ['finish runs/x', 'labels and report as of the newest checkpoint'],
  ['finish runs/x --out runs/now', 'leave runs/x as it is, so that it can be resumed'],
  ['resume runs/x --max-epochs 1000', 'go on with it after all'],
] as const;

export const handler = (values: Parameters<typeof continueRun>[0]): Promise<void> =>
  continueRun(values, { finish: true });
