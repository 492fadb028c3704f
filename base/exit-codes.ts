/** Exit code of a command that was stopped, such as by Ctrl-C. */
export const INTERRUPTED = 130;
