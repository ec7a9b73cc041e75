/** A statement with the values that are bound to it. */
export interface BoundStatement {
  readonly sql: string;
  readonly params: readonly unknown[];
}
