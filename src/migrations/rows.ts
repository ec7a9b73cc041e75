import type { Layout } from '../layout/layout';
import { foldName, isName, isOp, isWord, tokenize } from '../sql/tokens';
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

function filledTable(sql: string): string | undefined {
  const tokens = tokenize(sql);
  if (!isWord(tokens[0], 'insert') && !isWord(tokens[0], 'replace')) return undefined;
  const rows = tokens.findIndex((token) => isWord(token, 'values') || isWord(token, 'select'));
  if (!isWord(tokens[rows], 'values')) return undefined;
  let at = tokens.findIndex((token) => isWord(token, 'into')) + 1;
  if (isOp(tokens[at + 1], '.')) at += 2;
  const token = tokens[at];
  return token && isName(token) ? token.value : undefined;
}

function isReplicated(table: string, layout: Layout): boolean {
  const rule = layout.rules.get(foldName(table));
  return rule?.replicated === true || layout.find(table)?.placement.kind === 'replicated';
}
