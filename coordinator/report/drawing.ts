import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { childArguments } from '../../base/child-arguments.ts';
import type { Answer, Asked } from './process.ts';

/** A report that another process draws, so that neither its memory nor its mistakes are the coordinator's. */
export interface Drawing {
  /** Draws it. Rejects with the reason where that fails. */
  draw(asked: Asked): Promise<{ path: string; notes: string[] }>;
  stop(): void;
}

/** Starts the process; it loads what it needs until `draw` is called. */
export function startDrawing(): Drawing {
  // As source under tsx, else in one file, which loads in half the time.
  const place = import.meta.url.endsWith('.ts') ? './process.ts' : '../../bundled/report.js';
  const entry = fileURLToPath(new URL(place, import.meta.url));
  const child = spawn(process.execPath, [...childArguments(), entry], { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  let complained = '';
  let stopped = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complained = (complained + text).slice(-2000);
  });
  child.stdin.on('error', () => {});
  const ended = new Promise<string>((resolve) => {
    child.once('error', ({ message }) => resolve(message));
    child.once('close', (code, signal) => resolve(signal ? `killed by ${signal}` : `exit code ${code}`));
  });
  return {
    async draw(asked) {
      child.stdin.write(`${JSON.stringify(asked)}\n`);
      const how = await ended;
      if (stopped && !said.endsWith('\n')) throw new Error('it was stopped while it was drawn');
      const answer: Answer = said.endsWith('\n')
        ? JSON.parse(said)
        : { problem: `its process ended: ${complained.trim().split('\n').at(-1) || how}` };
      if ('problem' in answer) throw new Error(answer.problem);
      return answer;
    },
    stop() {
      stopped = true;
      child.stdin.end();
    },
  };
}
