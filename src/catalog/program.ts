/** Params are text: a number would be bound as REAL, by D1 as by a Durable Object. */
export interface Statement {
  readonly sql: string;
  readonly params: readonly (string | null)[];
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
  /** The answer where the catalog has no tables yet. Without it the program makes them: it has something to write. */
  readonly whenEmpty?: { readonly answer: T };
}

export const statement = (sql: string, ...params: (string | null)[]): Statement => ({ sql, params });

/** SQL's null for what is not given. */
export const textOf = (value: string | number | null | undefined): string | null =>
  value === undefined || value === null ? null : String(value);
