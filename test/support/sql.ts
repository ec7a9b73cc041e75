/** A piece of SQL with the values it binds. */
export class Sql {
  constructor(
    readonly text: string,
    readonly params: readonly unknown[],
  ) {}
}

/** SQL as it stands: a name, a list of columns. */
export const raw = (text: string): Sql => new Sql(text, []);

/**
 * Binds what is put in, and inlines what is SQL itself.
 *
 * @example
 * sql`select * from ${raw('users')} where id = ${'u1'}`;
 */
export function sql(texts: TemplateStringsArray, ...values: readonly unknown[]): Sql {
  let text = texts[0] as string;
  const params: unknown[] = [];
  for (const [i, value] of values.entries()) {
    text += (value instanceof Sql ? value.text : '?') + texts[i + 1];
    if (value instanceof Sql) params.push(...value.params);
    else params.push(value);
  }
  return new Sql(text, params);
}

/** Runs statements as one transaction; the rows of each. */
export async function runSql(database: D1Database | undefined, statements: readonly Sql[]) {
  if (!database) throw new Error('There is no such database');
  const prepared = statements.map(({ text, params }) => database.prepare(text).bind(...params));
  return (await database.batch<Record<string, unknown>>(prepared)).map(({ results }) => results);
}
