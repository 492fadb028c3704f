/** Exit code of a worker that would fare no better if it were started again. */
export const MISTAKE = 2;
