import type { Parsed } from '../sql/ast';
import { MAX_PARAMS, SqlWriter, type Template } from '../sql/template';
import type { Reach } from './plan';
import type { TableRef } from './scope';

/** The statement untouched, or with its long lists in one JSON parameter each where D1 would refuse so many values. */
export function wholeStatement(parsed: Parsed): Template {
  if (parsed.paramCount <= MAX_PARAMS) {
    return {
      sql: parsed.sql,
      slots: Array.from({ length: parsed.paramCount }, (_, index) => ({ kind: 'param', index })),
    };
  }
  return new SqlWriter(parsed.sql, parsed.tokens).copy({ from: 0, to: parsed.tokens.length }, { compact: true }).done();
}

/** Where the rows of one mention live; undefined for a replicated table, which is everywhere. */
export function reachOf(ref: TableRef): Reach | undefined {
  const { placement } = ref.table;
  if (placement.kind === 'replicated') return undefined;
  if (placement.kind === 'pinned') return { kind: 'pinned', shard: placement.shard };
  return { kind: 'keys', keyspace: placement.keyspace, keys: (ref.key as NonNullable<typeof ref.key>).keySet() };
}

export const reachesOf = (refs: readonly TableRef[]): Reach[] => refs.flatMap((ref) => reachOf(ref) ?? []);
