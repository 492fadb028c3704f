import { page } from './page.ts';
import { work } from './worker.ts';

// One bundle for both: the page starts it again as its worker.
if (typeof document === 'undefined') work(self as unknown as Parameters<typeof work>[0]);
else page(new Worker('app.js'));
