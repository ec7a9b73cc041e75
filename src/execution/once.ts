import { UnknownOutcomeError } from '../errors';
import { timeText } from '../placement/attempt';
import type { BoundStatement } from '../sql/bound';
import type { ShardClient } from './shard-set';

/**
 * Makes a write's batch safe to repeat. A row with the write's name goes in first; a repetition of a batch that was applied
 * fails on it, and the row tells what every statement changed.
 */
export interface OnceBatch {
  readonly statements: readonly BoundStatement[];
  /** The batch has been applied before: this repetition was rolled back. */
  isApplied(error: unknown): boolean;
  /** The results of the batch, if it has been applied; undefined if it has not. */
  answers(client: ShardClient, shard: string, tables: readonly string[]): Promise<D1Result[] | undefined>;
  /** The results of the user's own statements among all. */
  pick(results: readonly D1Result[]): readonly D1Result[];
}

/** A repetition comes within seconds, so that a row of yesterday serves nobody. */
const KEEP_MS = 24 * 60 * 60 * 1000;

/** @param name The same for every repetition of this part of this statement, and for nothing else. */
export function onceStatements(name: string, statements: readonly BoundStatement[]): OnceBatch {
  const noted: BoundStatement = {
    sql: `update _shard_writes set answers = json_insert(answers, '$[#]', json_array(changes(), last_insert_rowid())) where id = ?1`,
    params: [name],
  };
  return {
    statements: [
      {
        sql: `delete from _shard_writes where id in (select id from _shard_writes where id < ?1 order by id limit 4)`,
        params: [timeText(Date.now() - KEEP_MS)],
      },
      { sql: `insert into _shard_writes (id, answers) values (?1, '[]')`, params: [name] },
      ...statements.flatMap((statement) => [statement, noted]),
    ],
    isApplied: (error) =>
      error instanceof Error && error.message.includes('UNIQUE constraint failed: _shard_writes.id'),
    answers: (client, shard, tables) => appliedAnswers(client, name, statements, shard, tables),
    pick: (results) => statements.map((_, i) => results[2 + 2 * i] as D1Result),
  };
}

/** The results of a batch that was applied before, whose answer was lost: the guard's row, then those of the statements. */
async function appliedAnswers(
  client: ShardClient,
  name: string,
  statements: readonly BoundStatement[],
  shard: string,
  tables: readonly string[],
): Promise<D1Result[] | undefined> {
  const [identity, found] = await client.batch<Record<string, unknown>>([
    client.prepare('select version, digest, null as here from _shard_identity'),
    client.prepare('select answers from _shard_writes where id = ?').bind(name),
  ]);
  const [row] = found?.results ?? [];
  if (!row) return undefined;
  if (statements.some(({ givesRows }) => givesRows)) {
    const cause = new Error('The write was applied, and the rows that it returned are lost');
    throw new UnknownOutcomeError(shard, cause, { tables, remedy: 'Read the rows; do not write them again.' });
  }
  const answers = JSON.parse(String(row.answers)) as [number, number][];
  const blank = { ...(found as D1Result), results: [] };
  const results = statements.flatMap((_, i): D1Result[] => {
    const [changes, last_row_id] = answers[i] ?? [0, 0];
    return [{ ...blank, meta: { ...blank.meta, changes, last_row_id, changed_db: changes > 0 } }, blank];
  });
  return [identity as D1Result, blank, blank, ...results];
}
