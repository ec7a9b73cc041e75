import { UnknownOutcomeError } from '../errors';
import type { BoundStatement } from '../sql/bound';
import type { ShardClient } from './shard-set';

/**
 * Makes a write's batch safe to repeat. A row with a random id goes in first; a repetition of a batch that was applied fails
 * on it, and then the row tells what every statement changed.
 */
export interface OnceBatch {
  readonly id: string;
  readonly statements: readonly BoundStatement[];
  /** The batch has been applied before: this repetition was rolled back. */
  isApplied(error: unknown): boolean;
  /** The results of the user's own statements among all. */
  pick(results: readonly D1Result[]): readonly D1Result[];
}

/** A repetition comes within seconds, so that a row of yesterday serves nobody. */
const KEEP_MS = 24 * 60 * 60 * 1000;

export function onceStatements(statements: readonly BoundStatement[]): OnceBatch {
  // Begins with the time, so that old rows are found by the primary key.
  const time = (at: number) => at.toString(36).padStart(9, '0');
  const id = `${time(Date.now())}-${crypto.randomUUID()}`;
  const noted: BoundStatement = {
    sql: `update _shard_writes set answers = json_insert(answers, '$[#]', json_array(changes(), last_insert_rowid())) where id = ?1`,
    params: [id],
  };
  return {
    id,
    statements: [
      {
        sql: `delete from _shard_writes where id in (select id from _shard_writes where id < ?1 order by id limit 4)`,
        params: [time(Date.now() - KEEP_MS)],
      },
      { sql: `insert into _shard_writes (id, answers) values (?1, '[]')`, params: [id] },
      ...statements.flatMap((statement) => [statement, noted]),
    ],
    isApplied: (error) =>
      error instanceof Error && error.message.includes('UNIQUE constraint failed: _shard_writes.id'),
    pick: (results) => statements.map((_, i) => results[2 + 2 * i] as D1Result),
  };
}

/** The write was applied, but what it returned is lost. */
export class AppliedError {
  constructor(readonly error: UnknownOutcomeError) {}
}

/** The results of a batch that was applied before, whose answer was lost. */
export async function appliedAnswers(
  client: ShardClient,
  { id, statements }: OnceBatch,
  shard: string,
  tables: readonly string[],
): Promise<D1Result[] | AppliedError> {
  const own = statements.filter((_, i) => i >= 2 && i % 2 === 0);
  if (own.some(({ sql }) => /\breturning\b|^\s*(select|with|values)\b/i.test(sql))) {
    const cause = new Error('The write was applied, and the rows that it returned are lost');
    return new AppliedError(
      new UnknownOutcomeError(shard, cause, { tables, remedy: 'Read the rows; do not write them again.' }),
    );
  }
  const [identity, found] = await client.batch<Record<string, unknown>>([
    client.prepare('select version, digest from _shard_identity'),
    client.prepare('select answers from _shard_writes where id = ?').bind(id),
  ]);
  const answers = JSON.parse(String(found?.results[0]?.answers ?? '[]')) as [number, number][];
  const blank = { ...(found as D1Result), results: [] };
  const results = statements.map((_, i): D1Result => {
    const answer = i >= 2 ? answers[(i - 2) >> 1] : undefined;
    if (!answer) return blank;
    const [changes, last_row_id] = answer;
    return { ...blank, meta: { ...blank.meta, changes, last_row_id, changed_db: changes > 0 } };
  });
  return [identity as D1Result, ...results];
}
