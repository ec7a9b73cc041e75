/** A statement with the values that are bound to it. */
export interface BoundStatement {
  readonly sql: string;
  readonly params: readonly unknown[];
  /** It gives rows. Of one that does not, all that it says is how much it changed. */
  readonly givesRows?: boolean;
}
