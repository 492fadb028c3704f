/** What the page points out: a cluster, by its slot, which survives renumbering; perhaps a point of it. */
export interface Highlight {
  /** The slot under the pointer or focus, else the pinned one; null if neither. */
  readonly current: number | null;
  readonly pinned: number | null;
  /** The point of the plot that was clicked; null if it was the cluster. */
  readonly point: number | null;
  hover(slot: number | null): void;
  /** Pins the slot, and a point of it. */
  pin(slot: number, point: number | null): void;
  /** Pins the slot, or unpins it if it is pinned. */
  togglePin(slot: number): void;
  onChange(listener: () => void): void;
}

export function createHighlight(): Highlight {
  let hovered: number | null = null;
  let pinned: number | null = null;
  let point: number | null = null;
  const listeners: (() => void)[] = [];
  const notify = () => {
    for (const listener of listeners) listener();
  };
  const set = (slot: number | null, at: number | null) => {
    [pinned, point] = [slot, at];
    notify();
  };
  return {
    get current() {
      return hovered ?? pinned;
    },
    get pinned() {
      return pinned;
    },
    get point() {
      return point;
    },
    hover(slot) {
      if (slot === hovered) return;
      hovered = slot;
      notify();
    },
    pin: (slot, at) => (pinned === slot && point === at ? set(null, null) : set(slot, at)),
    togglePin: (slot) => (pinned === slot ? set(null, null) : set(slot, null)),
    onChange: (listener) => void listeners.push(listener),
  };
}
