/** A line of the table. */
export interface Row {
  name: string;
  what: string;
  /** Null: no figure was asked for. */
  asked: string | null;
  /** Takes long: only when named, or with --all. */
  onRequest?: true;
  measure(): Promise<Outcome>;
}

export interface Outcome {
  measured: string;
  /** Null: nothing to compare it with. */
  met: boolean | null;
}
