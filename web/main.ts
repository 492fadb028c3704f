import { startPage } from './page.ts';
import { startAnalysisWorker } from './worker.ts';

// One bundle for both: the page loads it again as its Web Worker.
if (typeof document === 'undefined')
  startAnalysisWorker(self as unknown as Parameters<typeof startAnalysisWorker>[0]);
else startPage(new Worker('app.js'));
