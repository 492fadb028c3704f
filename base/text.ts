/** Text in other letters, and text of others made fit for a terminal. */

/** `max-epochs` as `maxEpochs`. */
export const camelCase = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

/** `maxEpochs` as `max-epochs`. */
export const kebabCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Characters that move the cursor or set a title, and marks that turn the order of letters around. */
const UNSEEN = '\\p{Cc}\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069';
const BUT_LINES = new RegExp(`(?![\\n\\t])[${UNSEEN}]`, 'gu');
const ALL = new RegExp(`[${UNSEEN}]`, 'gu');

/** Text on its way to a terminal: what would do something there is shown as a sign. Line ends and tabs stay. */
export const printable = (text: string) => text.replace(BUT_LINES, '\ufffd');

/** Text of others that is to be one line, or part of one. */
export const oneLine = (text: string) => text.replace(ALL, '\ufffd');

/** Text of others that may have several lines: those after the first are set in, so that none looks like one of ours. */
export const setIn = (text: string) => printable(text).replaceAll('\n', '\n    ');
