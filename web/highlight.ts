/** Which cluster stands out, in the plot and the table alike; by colour number, which outlives renumbering. */
export interface Highlight {
  /** Under the pointer or the focus, else the pinned one; null: none. */
  readonly now: number | null;
  readonly pinned: number | null;
  hover(slot: number | null): void;
  /** Pins it, or lets it go. */
  pin(slot: number): void;
  onChange(listener: () => void): void;
}

export function highlight(): Highlight {
  let hovered: number | null = null;
  let pinned: number | null = null;
  const listeners: (() => void)[] = [];
  const tell = () => {
    for (const listener of listeners) listener();
  };
  return {
    get now() {
      return hovered ?? pinned;
    },
    get pinned() {
      return pinned;
    },
    hover(slot) {
      if (slot === hovered) return;
      hovered = slot;
      tell();
    },
    pin(slot) {
      pinned = pinned === slot ? null : slot;
      tell();
    },
    onChange: (listener) => void listeners.push(listener),
  };
}
