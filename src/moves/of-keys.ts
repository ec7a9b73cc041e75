import { name, type Sql, sql } from '../sql/tag';
import type { CarriedTable } from './carry';

type Keyed = Pick<CarriedTable, 'key' | 'isTextKey'>;

/**
 * The condition on rows that their key is one of these texts, to the letter: to compare it with numbers SQLite makes 1 of `01`,
 * which is another key of a keyspace that has both.
 *
 * @param keys A subquery in parentheses.
 */
export const withKeyIn = ({ key, isTextKey }: Keyed, keys: Sql): Sql => {
  const column = name(key as string);
  return isTextKey ? sql`${column} in ${keys}` : sql`${column} in ${keys} and cast(${column} as text) in ${keys}`;
};

/** The same for one key. Equality lets an index give its rows in their order. */
export const withKey = ({ key, isTextKey }: Keyed, only: string): Sql => {
  const column = name(key as string);
  return isTextKey ? sql`${column} = ${only}` : sql`${column} = ${only} and cast(${column} as text) = ${only}`;
};
