import { pathToFileURL } from 'node:url';
import { type ReportOptions, writeReport } from './report.ts';

/** A process that draws one report: what is asked comes as a line on stdin, the answer goes as a line to stdout. */

export type Asked = ReportOptions & { run: string };
export type Answer = { path: string; notes: string[] } | { problem: string };

async function answer(asked: Asked): Promise<Answer> {
  try {
    const { path, notes } = await writeReport(asked.run, asked);
    return { path, notes };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  // Ctrl-C is for the coordinator to hear; its end closes the pipe.
  process.on('SIGINT', () => {});
  let text = '';
  process.stdin.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    if (!text.endsWith('\n')) return;
    void answer(JSON.parse(text)).then((said) => {
      process.stdout.write(`${JSON.stringify(said)}\n`, () => process.exit(0));
    });
  });
  process.stdin.once('close', () => process.exit(0));
  // While the last pass over the data is under way.
  await import('@resvg/resvg-js');
}
