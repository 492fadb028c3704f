/** What has to be undone at the end of something, whatever that end is. */
export interface Disposers {
  /** `undo` runs before all that was deferred until now; at once, where the end has come already. */
  defer(undo: () => unknown): void;
  /** Runs all, the last one first, each when the one before it is done. Then throws the first error of any. */
  dispose(): Promise<void>;
}

export function createDisposers(): Disposers {
  const stack: (() => unknown)[] = [];
  let disposed = false;
  return {
    defer(undo) {
      if (disposed) void undo();
      else stack.push(undo);
    },
    async dispose() {
      disposed = true;
      const errors: unknown[] = [];
      for (let undo = stack.pop(); undo; undo = stack.pop()) {
        try {
          await undo();
        } catch (error) {
          errors.push(error);
        }
      }
      if (errors.length) throw errors[0];
    },
  };
}
