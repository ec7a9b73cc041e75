import type { BoundStatement } from './bound';
import { quoteName } from './tokens';

/** A piece of SQL with the values it binds. */
export class Sql {
  constructor(
    readonly texts: readonly string[],
    readonly values: readonly Value[],
  ) {}
}

export type Value = string | number | null | Sql;

/**
 * SQL with values put in: text is bound, whole numbers are bound as integers (D1 binds a number as REAL), and SQL is inlined.
 *
 * @example
 * sql`select * from ${name('users')} where slot between ${lo} and ${hi}`;
 */
export const sql = (texts: TemplateStringsArray, ...values: readonly Value[]): Sql =>
  new Sql(
    // Only here: what is put in may be a name or a trigger, in which white space matters.
    texts.map((text) => text.replace(/\s+/g, ' ')),
    values,
  );

/** SQL as it stands. */
export const raw = (text: string): Sql => new Sql([text], []);

/** A name, quoted. */
export const name = (text: string): Sql => raw(quoteName(text));

export const joinSql = (parts: readonly Sql[], separator: string): Sql =>
  new Sql(['', ...parts.slice(1).map(() => separator), ''].slice(0, parts.length + 1), parts);

/** The statement, with equal values bound once. */
export function bound(statement: Sql): BoundStatement {
  const params: string[] = [];
  const places = new Map<string, number>();
  const place = (value: string): number => {
    const known = places.get(value) ?? params.push(value);
    places.set(value, known);
    return known;
  };
  const render = ({ texts, values }: Sql): string =>
    texts
      .map((text, i) => {
        if (i === 0) return text;
        const value = values[i - 1] as Value;
        if (value instanceof Sql) return render(value) + text;
        if (value === null) return `null${text}`;
        const at = `?${place(String(value))}`;
        return (typeof value === 'number' ? `cast(${at} as integer)` : at) + text;
      })
      .join('');
  return { sql: render(statement), params };
}
