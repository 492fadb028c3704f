import { liveFeed, savedFeed } from './feed.ts';
import { startPage } from './page.ts';

document.documentElement.classList.add('has-script');
// The page of a finished run has the run in it.
const saved = document.getElementById('saved-run');
startPage(saved ? savedFeed(JSON.parse(saved.textContent!)) : liveFeed(new Worker('analysis.js')));
