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

export const handler = (values: Parameters<typeof continueRun>[0]): Promise<void> =>
  continueRun(values, { finish: true });
