/** Holds training between two epochs; what is under way ends first. */
export interface Pause {
  pause(): void;
  resume(): void;
  isPaused(): boolean;
  /** Null where nothing holds, else resolves when training may go on. */
  held(): Promise<void> | null;
}

export function createPause(): Pause {
  let waiting: Promise<void> | null = null;
  let go = () => {};
  return {
    pause() {
      waiting ??= new Promise((resolve) => {
        go = resolve;
      });
    },
    resume() {
      waiting = null;
      go();
    },
    isPaused: () => waiting !== null,
    held: () => waiting,
  };
}
