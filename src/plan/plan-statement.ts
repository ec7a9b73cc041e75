import { ShardedDrizzleError, TransactionError, UnsupportedStatementError } from '../errors';
import { type Layout, TablesNeeded } from '../layout/layout';
import type { Other, Parsed } from '../sql/ast';
import { parse } from '../sql/parse';
import { beginsSelect } from '../sql/parse-select';
import { isWord } from '../sql/tokens';
import { Binder } from './bind';
import type { EveryShardPlan, Plan } from './plan';
import { planInsert } from './plan-insert';
import { planRead } from './plan-read';
import { planWrite } from './plan-write';
import { wholeStatement } from './reach';

/**
 * Plans one SQL text. Pure: the same text and layout give the same plan.
 *
 * @throws TablesNeeded when the database has to be asked for tables first. Refusals are plans, so that they are cached too.
 */
export function planStatement(sql: string, layout: Layout): Plan {
  try {
    const parsed = parse(sql);
    const { statement } = parsed;
    const binder = new Binder(parsed, layout);
    if (statement.kind === 'select') return planRead(parsed, statement, binder);
    if (statement.kind === 'insert') return planInsert(parsed, statement, binder);
    if ('set' in statement) return planWrite(parsed, statement, binder);
    return planOther(parsed, statement);
  } catch (error) {
    if (error instanceof TablesNeeded || !(error instanceof ShardedDrizzleError)) throw error;
    return refuse(error.tables, () => error);
  }
}

/**
 * A step of a migration that no plan can be made for because its table is made by the migration itself: `insert into
 * __new_users select ... from users`. Each shard copies its own rows. Undefined when it is anything else.
 */
export function planTableCopy(sql: string): EveryShardPlan | undefined {
  const parsed = parse(sql);
  const { statement } = parsed;
  if (statement.kind !== 'insert' || !statement.select) return undefined;
  return { ...everyShard(parsed), tables: [statement.target.name], ddl: true };
}

const everyShard = (parsed: Parsed): EveryShardPlan => ({
  kind: 'every',
  tables: [],
  reaches: [],
  whole: wholeStatement(parsed),
  paramCount: parsed.paramCount,
  ddl: false,
  neutral: false,
});

const refuse = (tables: readonly string[], error: () => Error): Plan => ({ kind: 'refused', tables, error });

function planOther(parsed: Parsed, statement: Other): Plan {
  const { sql } = parsed;
  const every = everyShard(parsed);
  switch (statement.kind) {
    case 'ddl':
      if (
        statement.verb === 'create table' &&
        parsed.tokens.some((token, i) => isWord(token, 'as') && beginsSelect(parsed.tokens[i + 1]))
      ) {
        return refuse(
          [],
          () =>
            new UnsupportedStatementError('CREATE TABLE ... AS SELECT gives a table without keys.', {
              sql,
              remedy: 'Create the table, then insert into it.',
            }),
        );
      }
      return { ...every, ddl: true, neutral: false };
    case 'pragma':
      return { ...every, ddl: false, neutral: true };
    case 'explain':
      return { ...every, ddl: false, neutral: true };
    case 'transaction':
      return refuse(
        [],
        () =>
          new TransactionError(`D1 has no interactive transactions: ${statement.verb.toUpperCase()} was refused.`, {
            sql,
            remedy: 'Use db.batch([...]), which is atomic on one shard.',
          }),
      );
    case 'empty':
      return refuse([], () => new UnsupportedStatementError('The statement is empty.', { sql }));
    case 'unknown':
      return refuse(
        [],
        () =>
          new UnsupportedStatementError(
            `A statement that begins with ${statement.verb.toUpperCase() || sql.slice(0, 20)} is not one that D1 runs.`,
            { sql },
          ),
      );
  }
}
