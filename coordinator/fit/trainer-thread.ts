import { parentPort } from 'node:worker_threads';
import { createBirpc } from 'birpc';
import { channel } from './start-trainer.ts';
import { createTrainer, type Trainer, type TrainerHost } from './trainer.ts';

/** Entry point of the trainer's thread. */

const EVENTS = ['publish', 'emit', 'warn'] as const;

const functions = {} as Trainer;
const host = createBirpc<TrainerHost, Trainer>(functions, {
  ...channel(parentPort!),
  eventNames: [...EVENTS],
});
Object.assign(functions, createTrainer(host as unknown as TrainerHost));
