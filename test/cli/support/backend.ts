/** A statement as a request to the API brings it. */
export interface ApiStatement {
  readonly sql: string;
  readonly params: readonly (string | number | null)[];
}

/** The result of a statement as `/raw` answers it. */
export interface ApiResult {
  readonly results: { readonly columns: readonly string[]; readonly rows: readonly (readonly unknown[])[] };
  readonly success: true;
  readonly meta: Readonly<Record<string, unknown>>;
}

export interface ApiDatabase {
  readonly uuid: string;
  readonly name: string;
}

/** The databases behind the server. */
export interface Backend {
  list(): readonly ApiDatabase[];
  /** @throws Error when no more can be made. */
  create(name: string): ApiDatabase;
  /**
   * Runs statements of one database in one transaction.
   *
   * @throws SqlFailure
   */
  run(database: ApiDatabase, statements: readonly ApiStatement[]): Promise<readonly ApiResult[]>;
  dispose(): Promise<void>;
}

/** What D1 says of a statement that fails, such as `no such table: users: SQLITE_ERROR`. Nothing was changed. */
export class SqlFailure extends Error {}
