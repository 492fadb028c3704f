/** A stack of cleanup functions, run in reverse order at the end of a scope, however it ends. */
export interface Disposers {
  /** Registers `undo`, to run before those registered earlier; runs it at once if `dispose` was already called. */
  defer(undo: () => unknown): void;
  /** Runs all one after another, last registered first, then rejects with the first error, if any. */
  dispose(): Promise<void>;
}

/** An empty stack of cleanup functions. */
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
