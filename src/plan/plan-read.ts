import { UnsupportedStatementError } from '../errors';
import type { Layout } from '../layout/layout';
import type { Parsed, Select } from '../sql/ast';
import { parse } from '../sql/parse';
import { isOp } from '../sql/tokens';
import { Binder, NO_CTES } from './bind';
import type { GatherStep, ReadPlan } from './plan';
import { namesRowid, planGather } from './plan-gather';
import { planGroups } from './plan-groups';
import { planScatter } from './plan-scatter';
import { selectOutput } from './positional';
import { reachesOf, wholeStatement } from './reach';

/** Plans a SELECT: untouched on one shard, pushed down to several, or gathered and finished on one. */
export function planRead(parsed: Parsed, statement: Select, layout: Layout): ReadPlan {
  checkConnectionState(parsed);
  const binder = new Binder(parsed, layout);
  const bound = binder.select(statement, undefined, NO_CTES);
  const whole = wholeStatement(parsed);
  const output = selectOutput(parsed, bound, whole);
  return {
    kind: 'read',
    tables: [...new Set(binder.refs.map((ref) => ref.table.name))],
    reaches: reachesOf(binder.refs),
    whole,
    output,
    paramCount: parsed.paramCount,
    rowid: namesRowid(parsed.tokens, binder.refs),
    scatter: planScatter(parsed, bound, binder, output),
    gather: laterGather(parsed.sql, layout),
  };
}

/**
 * Made when first needed, from the text: most statements are never gathered, and a cached plan that held on to its tokens
 * would be fifty times the size of its text.
 */
function laterGather(sql: string, layout: Layout): () => GatherStep {
  let step: GatherStep | undefined;
  return () => {
    step ??= gatherOf(sql, layout);
    return step;
  };
}

function gatherOf(sql: string, layout: Layout): GatherStep {
  const parsed = parse(sql);
  const binder = new Binder(parsed, layout);
  if (parsed.statement.kind !== 'select') return planGather(parsed, binder);
  const bound = binder.select(parsed.statement, undefined, NO_CTES);
  const { names } = selectOutput(parsed, bound, wholeStatement(parsed));
  const groups = planGroups(parsed, bound, binder, names);
  // Sums of one shard may be too large although that of all is not.
  return groups ? { ...groups, otherwise: planGather(parsed, binder) } : planGather(parsed, binder);
}

/** What the last write did is known to the connection that ran it, and there is one on each shard. */
function checkConnectionState({ sql, tokens }: Parsed): void {
  const states = ['last_insert_rowid', 'changes', 'total_changes'];
  const called = tokens.find((token, i) => states.includes(token.value) && isOp(tokens[i + 1], '('));
  if (!called) return;
  throw new UnsupportedStatementError(`${called.value}() is about the last write of one shard, and not told which.`, {
    sql,
    remedy: 'Read meta.last_row_id or meta.changes of the result of the write, or use RETURNING.',
  });
}
