import { oneLine } from '../base/text.ts';
import { SERVE } from '../library/command-options.ts';
import { defineCommand } from './flags.ts';
import { onSignal } from './process.ts';

/** Serves models to programs that ask for labels. */
export const serve = defineCommand({
  command: 'serve <runs..>',
  describe: 'label rows that come over HTTP with the models of finished runs (Open Inference Protocol)',
  options: SERVE,
  examples: [
    ['serve runs/x', 'labels at http://127.0.0.1:8080/v2/models/x/infer, until Ctrl-C'],
    ['serve runs/a runs/b --http 0.0.0.0:8080 --http-token TOKEN', 'two models, for other machines'],
    ['serve runs/x-follow --watch', 'the newest update of a follow'],
  ],
  async handler({ runs, http, httpToken = process.env.DPMESH_HTTP_TOKEN, watch }) {
    const { serve } = await import('../serve/serve.ts');
    const log = (line: string) => console.error(oneLine(line));
    const server = await serve({ runs, http, httpToken, watch, log });
    for (const { run, url } of server.models) log(`${run}: ${url}`);
    await new Promise<void>((resolve) => onSignal(() => resolve()));
    await server.close();
  },
});
