import { TransactionError, UnsupportedStatementError } from '../errors';
import type { Layout } from '../layout/layout';
import type { Other, Parsed } from '../sql/ast';
import { parse } from '../sql/parse';
import { beginsSelect } from '../sql/parse-select';
import { isWord } from '../sql/tokens';
import { Binder } from './bind';
import type { EveryShardPlan, Plan } from './plan';
import { planInsert } from './plan-insert';
import { planRead } from './plan-read';
import { planWrite } from './plan-write';
import { PLAIN_OUTPUT } from './positional';
import { wholeStatement } from './reach';

/**
 * Plans one SQL text. Pure: the same text and layout give the same plan.
 *
 * @throws TablesNeeded when the database has to be asked for tables first; a ShardedDrizzleError for what is refused.
 */
export function planStatement(sql: string, layout: Layout): Plan {
  const parsed = parse(sql);
  const { statement } = parsed;
  if (statement.kind === 'select') return planRead(parsed, statement, layout);
  if (statement.kind === 'insert') return planInsert(parsed, statement, new Binder(parsed, layout));
  if ('set' in statement) return planWrite(parsed, statement, new Binder(parsed, layout));
  return planOther(parsed, statement);
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
  output: PLAIN_OUTPUT,
  paramCount: parsed.paramCount,
  ddl: false,
  neutral: false,
});

function planOther(parsed: Parsed, { kind, verb }: Other): EveryShardPlan {
  const { sql, tokens } = parsed;
  switch (kind) {
    case 'ddl':
      if (verb === 'create table' && tokens.some((token, i) => isWord(token, 'as') && beginsSelect(tokens[i + 1]))) {
        throw new UnsupportedStatementError('CREATE TABLE ... AS SELECT gives a table without keys.', {
          sql,
          remedy: 'Create the table, then insert into it.',
        });
      }
      return { ...everyShard(parsed), ddl: true };
    case 'pragma':
    case 'explain':
      return { ...everyShard(parsed), neutral: true };
    case 'transaction':
      throw new TransactionError(`D1 has no interactive transactions: ${verb.toUpperCase()} was refused.`, {
        sql,
        remedy: 'Use db.batch([...]), which is atomic on one shard.',
      });
    case 'empty':
      throw new UnsupportedStatementError('The statement is empty.', { sql });
    case 'unknown': {
      const began = verb.toUpperCase() || sql.slice(0, 20);
      throw new UnsupportedStatementError(`A statement that begins with ${began} is not one that D1 runs.`, { sql });
    }
  }
}
