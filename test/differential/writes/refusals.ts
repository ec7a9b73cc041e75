import { tableAt } from '../queries/scope';
import { PAIRS } from './build';
import type { Write } from './recipe';

/**
 * Whether one write, or a batch of some, may be refused with this code: what over several databases cannot be done, or
 * cannot be known. Every other refusal fails the test.
 */
export function mayBeRefused(code: string, writes: readonly Write[], batch: boolean): boolean {
  if (batch && code === 'CROSS_SHARD_BATCH') return true;
  return writes.some((write) => reasons(write).includes(code) || (batch && looksFirst(code, write)));
}

function reasons(write: Write): string[] {
  const codes: string[] = [];
  if (write.type === 'update' && write.key !== undefined) codes.push('SHARD_KEY_CHANGE');
  if (readsOtherRows(write) || blindConflict(write) || crossShardJoin(write)) codes.push('UNSUPPORTED_STATEMENT');
  return codes;
}

/** A write that first looks for its rows takes two steps, and a batch is one. */
const looksFirst = (code: string, write: Write): boolean =>
  code === 'UNSUPPORTED_STATEMENT' && 'few' in write && write.few !== undefined;

/** A subquery: the rows that it reads may be on other shards than those that are written. */
const readsOtherRows = (write: Write): boolean => /"type":"(scalar|exists|in subquery)"/.test(JSON.stringify(write));

/** ON CONFLICT with an id that another shard may have: a post's id is not its shard key. */
const blindConflict = (write: Write): boolean =>
  write.type === 'insert' &&
  write.conflict !== undefined &&
  write.conflict.target !== 'unique' &&
  tableAt(write.table).name === 'posts';

/** Orders and the users that they refer to; and an OR without parentheses, which undoes the condition that joins. */
function crossShardJoin(write: Write): boolean {
  if (write.type !== 'update from') return false;
  const [target] = PAIRS[write.pair % PAIRS.length] ?? [];
  return target === 'orders' || JSON.stringify(write.where)?.includes('loose or') === true;
}
