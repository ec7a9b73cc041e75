/** Params are text: a number would be bound as REAL, by D1 as by a Durable Object. */
export interface Statement {
  readonly sql: string;
  readonly params: readonly string[];
}

export type Row = Readonly<Record<string, unknown>>;

/**
 * One operation of the catalog. The statements run in one transaction and decide everything inside it: a caller that
 * read first and wrote later could act on what another has changed meanwhile.
 */
export interface Program<T> {
  readonly statements: readonly Statement[];
  /** Turns the rows of each statement into the answer. */
  read(results: readonly (readonly Row[])[]): T;
}
