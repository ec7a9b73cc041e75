import type { Parsed, Select } from '../sql/ast';
import type { Binder } from './bind';
import type { GatherStep, ReadPlan } from './plan';
import { namesRowid, planGather } from './plan-gather';
import { planScatter } from './plan-scatter';
import { reachesOf, wholeStatement } from './reach';

/** Plans a SELECT: untouched on one shard, pushed down to several, or gathered and finished on one. */
export function planRead(parsed: Parsed, statement: Select, binder: Binder): ReadPlan {
  const bound = binder.select(statement, undefined, new Map());
  let gathered: GatherStep | undefined;
  return {
    kind: 'read',
    tables: [...new Set(binder.refs.map((ref) => ref.table.name))],
    reaches: reachesOf(binder.refs),
    whole: wholeStatement(parsed),
    paramCount: parsed.paramCount,
    rowid: namesRowid(parsed.tokens, binder.refs),
    scatter: planScatter(parsed, bound, binder),
    // Made when first needed: most statements never are gathered.
    gather: () => {
      gathered ??= planGather(parsed, binder);
      return gathered;
    },
  };
}
