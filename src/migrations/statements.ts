import type { BoundStatement } from '../sql/bound';
import { tokenize } from '../sql/tokens';
import type { HashedFolder } from './hashed';
import { LEDGER, ledgerIs } from './ledger';
import type { ShardPlan } from './plan';

/**
 * The statements of a file, as Drizzle splits it, without those that are only a comment: D1 refuses them. drizzle-kit comments a
 * whole file out that it wrote for tables that were there, with breakpoints inside the comment.
 */
export const statementsOf = (sql: string): string[] =>
  isStatement(sql) ? sql.split('--> statement-breakpoint').filter(isStatement) : [];

const isStatement = (text: string): boolean => tokenize(text).some((token) => token.text !== ';');

/** The table as `migrate()` of the same Drizzle makes it. */
const CREATE = {
  journal: `CREATE TABLE IF NOT EXISTS "${LEDGER}" (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric)`,
  folders: `CREATE TABLE IF NOT EXISTS "${LEDGER}" (id INTEGER PRIMARY KEY, hash text NOT NULL, created_at numeric, name text, applied_at TEXT)`,
} as const;

const statement = (sql: string, ...params: string[]): BoundStatement => ({ sql, params });

/** All that a shard lacks, and its ledger, as one batch that can take effect once. */
export function shardBatch({ format }: HashedFolder, { ledger, pending, unnamed }: ShardPlan): BoundStatement[] {
  const isFolders = format === 'folders';
  const appliedAt = new Date().toISOString();
  return [
    ...(ledger.layout === 'missing' ? [statement(CREATE[format])] : []),
    ledgerIs(ledger),
    ...(isFolders && ledger.layout === 'plain'
      ? ['name text', 'applied_at TEXT'].map((column) => statement(`alter table "${LEDGER}" add column ${column}`))
      : []),
    ...unnamed.map(({ rowid, tag }) =>
      statement(`update "${LEDGER}" set name = ?1 where rowid = cast(?2 as integer)`, tag, String(rowid)),
    ),
    ...pending.flatMap(({ tag, when, hash, sql }) => [
      ...statementsOf(sql).map((text) => statement(text)),
      // The column's affinity makes a number of the text.
      isFolders
        ? statement(
            `insert into "${LEDGER}" ("hash", "created_at", "name", "applied_at") values (?1, ?2, ?3, ?4)`,
            hash,
            String(when),
            tag,
            appliedAt,
          )
        : statement(`insert into "${LEDGER}" ("hash", "created_at") values (?1, ?2)`, hash, String(when)),
    ]),
  ];
}
