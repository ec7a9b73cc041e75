import type { Layout } from '../layout/layout';
import { foldName, isName, isOp, isWord, type Token, tokenize } from '../sql/tokens';
import type { Migration } from './bundle';
import type { Obstacle } from './errors';
import { statementsOf } from './statements';

/**
 * Rows that a migration inserts would be on every shard, where only those of replicated tables may be. `insert ... select` fills
 * a rebuilt table from the same shard's rows, which stay where they are.
 */
export function insertedRows(migrations: Iterable<Migration>, layout: Layout): Obstacle[] {
  const found: Obstacle[] = [];
  for (const { tag, sql } of migrations) {
    for (const statement of statementsOf(sql)) {
      const table = filledTable(statement);
      if (table === undefined || isReplicated(table, layout)) continue;
      found.push({
        kind: 'rows',
        tag,
        message: `${tag} inserts rows into ${table}, which would be on every shard. Take them out of the file and insert them with db.insert(), which knows where they belong.`,
      });
    }
  }
  return found;
}

/** The table that a piece of a file puts VALUES into. */
function filledTable(sql: string): string | undefined {
  const tokens = tokenize(sql);
  // What a trigger inserts is between its own semicolons.
  if (tokens.some((token) => isWord(token, 'trigger'))) return undefined;
  for (let start = 0, end: number; start < tokens.length; start = end + 1) {
    const semicolon = tokens.findIndex((token, i) => i >= start && isOp(token, ';'));
    end = semicolon < 0 ? tokens.length : semicolon;
    const table = insertTarget(tokens.slice(start, end));
    if (table !== undefined) return table;
  }
  return undefined;
}

function insertTarget(tokens: readonly Token[]): string | undefined {
  if (!isWord(tokens[0], 'insert') && !isWord(tokens[0], 'replace')) return undefined;
  const rows = tokens.find((token) => isWord(token, 'values') || isWord(token, 'select'));
  if (!isWord(rows, 'values')) return undefined;
  let at = tokens.findIndex((token) => isWord(token, 'into')) + 1;
  if (isOp(tokens[at + 1], '.')) at += 2;
  return isName(tokens[at]) ? tokens[at]?.value : undefined;
}

function isReplicated(table: string, layout: Layout): boolean {
  const rule = layout.rules.get(foldName(table));
  return rule?.replicated === true || layout.find(table)?.placement.kind === 'replicated';
}
