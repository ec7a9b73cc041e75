import { ConfigError } from '../../errors';
import { dropAll } from '../../migrations/schema/drop-all';
import { expectedSchema } from '../../migrations/schema/expected';
import type { Schema } from '../../migrations/schema/schema';
import { foldName, isWord, tokenize } from '../../sql/tokens';

/** What every shard is to become. */
export interface Wanted {
  readonly schema: Schema;
  /** The CREATE of a table, index or view, by its folded name. */
  readonly create: ReadonlyMap<string, string>;
}

/**
 * @param scratch An empty database, which the statements are tried on.
 * @throws ConfigError when they do not work, or there are none.
 */
export async function wantedSchema(statements: readonly string[], scratch: D1Database): Promise<Wanted> {
  const sql = statements.join('\n--> statement-breakpoint\n');
  const schema = await expectedSchema(scratch)([{ tag: 'the schema', when: 0, sql }]);
  // The next plan finds it as it was.
  await dropAll(scratch);
  if (!schema) {
    throw new ConfigError('The schema has no tables.', { remedy: 'Pass what your schema file exports.' });
  }
  return { schema, create: new Map(statements.map((one) => [foldName(nameOf(one)), one.trim().replace(/;$/, '')])) };
}

/** CREATE [UNIQUE] TABLE | INDEX | VIEW name, as drizzle-kit writes it. */
function nameOf(sql: string): string {
  const tokens = tokenize(sql);
  const at = tokens.findIndex((token) => ['table', 'index', 'view'].some((word) => isWord(token, word)));
  return tokens[at + 1]?.value ?? '';
}
