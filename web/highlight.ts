/** The cluster highlighted in both the plot and the table, by its slot, which survives renumbering. */
export interface Highlight {
  /** The slot under the pointer or focus, else the pinned one; null if neither. */
  readonly current: number | null;
  readonly pinned: number | null;
  hover(slot: number | null): void;
  /** Pins the slot, or unpins it if it is pinned. */
  togglePin(slot: number): void;
  onChange(listener: () => void): void;
}

export function createHighlight(): Highlight {
  let hovered: number | null = null;
  let pinned: number | null = null;
  const listeners: (() => void)[] = [];
  const notify = () => {
    for (const listener of listeners) listener();
  };
  return {
    get current() {
      return hovered ?? pinned;
    },
    get pinned() {
      return pinned;
    },
    hover(slot) {
      if (slot === hovered) return;
      hovered = slot;
      notify();
    },
    togglePin(slot) {
      pinned = pinned === slot ? null : slot;
      notify();
    },
    onChange: (listener) => void listeners.push(listener),
  };
}
