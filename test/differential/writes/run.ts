import { plain as plainD1 } from '../../support/shards';
import { type Outcome, outcomeOf } from '../check';
import { canonical, difference } from '../compare';
import { contentsOf, merge, shardContents } from '../contents';
import type { Sides } from '../sides';
import { buildWrite, writesOf } from './build';
import type { WriteBuilder, WriteChain } from './builder';
import type { Step, Write } from './recipe';
import { mayBeRefused } from './refusals';

/** What a write says when it is done. */
interface Done {
  /** The rows of each RETURNING, or the number of changes. */
  readonly results: readonly unknown[];
}

export interface Tally {
  done: number;
  failed: number;
  partial: number;
  refused: Record<string, number>;
}

/**
 * Does one step on both sides and compares what they say and what they hold.
 *
 * @returns whether they can still be compared: after a partial write they cannot.
 * @throws Error that says what differs.
 */
export async function stepOnBoth(sides: Sides, step: Step, tally: Tally): Promise<boolean> {
  const got = await outcomeOf(() => runStep(sides.sharded as unknown as WriteBuilder, step));
  if (got.type === 'refused') {
    if (!mayBeRefused(got.code, writesOf(step), step.type === 'batch'))
      throw new Error(`Refused, ${got.code}: ${got.message}`);
    tally.refused[got.code] = (tally.refused[got.code] ?? 0) + 1;
    await sameContents(sides, 'after it was refused');
    return true;
  }
  const expected = await outcomeOf(() => runStep(sides.plain as unknown as WriteBuilder, step));
  const wrong = compareOutcomes(step, expected, got);
  if (wrong) throw new Error(wrong);
  if (got.type === 'failed' && got.code === 'PARTIAL_WRITE') {
    tally.partial++;
    // A replicated table is the same on every shard even then.
    merge(await shardContents(sides.shards));
    return false;
  }
  tally[got.type]++;
  await sameContents(sides, `after it ${got.type === 'done' ? 'was done' : 'failed'}`);
  return true;
}

function compareOutcomes(step: Step, expected: Outcome<Done>, got: Outcome<Done>): string | undefined {
  if (expected.type !== got.type) {
    const say = (outcome: Outcome<Done>) =>
      outcome.type === 'done' ? 'done' : `${outcome.type}: ${outcome.code ?? ''} ${outcome.message}`;
    return `One D1: ${say(expected)}\nShards: ${say(got)}`;
  }
  if (expected.type === 'failed' && got.type === 'failed') {
    // Which of several constraints is named first is open, but it has to be one.
    const alike = isConstraint(expected.message) === isConstraint(got.message);
    return alike ? undefined : `One D1 failed with: ${expected.message}\nThe shards with: ${got.code} ${got.message}`;
  }
  if (expected.type !== 'done' || got.type !== 'done') return undefined;
  for (const [i, write] of writesOf(step).entries()) {
    // Rows that are inserted come back in the order in which they were given; no order is promised for others.
    const rows = write.type === 'insert' && !write.conflict ? 'exact' : 'any';
    const wrong = difference(asRows(expected.value.results[i]), asRows(got.value.results[i]), {
      rows,
      keys: [],
      fold: false,
    });
    if (wrong) return `The result of write ${i + 1} differs. ${wrong}`;
  }
  return undefined;
}

const isConstraint = (message: string): boolean => message.includes('constraint failed');

const asRows = (result: unknown): readonly unknown[] => (Array.isArray(result) ? result : [result]);

async function runStep(builder: WriteBuilder, step: Step): Promise<Done> {
  const writes = writesOf(step);
  const chains = writes.map((write) => buildWrite(builder, write));
  const [only] = chains;
  if (step.type !== 'batch') return { results: [resultOf(step, await only)] };
  const results = await (builder.batch as unknown as (chains: readonly WriteChain[]) => Promise<unknown[]>).call(
    builder,
    chains,
  );
  return { results: writes.map((write, i) => resultOf(write, results[i])) };
}

function resultOf(write: Write, result: unknown): unknown {
  if ('returning' in write && write.returning !== 'none') return result;
  return { changes: (result as D1Result).meta.changes };
}

/** @throws Error naming the tables that hold other rows. */
export async function sameContents(sides: Sides, when: string): Promise<void> {
  const [plain, each] = await Promise.all([contentsOf(plainD1), shardContents(sides.shards)]);
  const sharded = merge(each);
  const other = Object.keys(plain).filter((name) => canonical(plain[name]) !== canonical(sharded[name]));
  const [first] = other;
  if (first === undefined) return;
  const wrong = difference(plain[first] ?? [], sharded[first] ?? [], { rows: 'any', keys: [], fold: false });
  throw new Error(`The databases differ ${when} in ${other.join(', ')}.\n${first}: ${wrong}`);
}

/** The SQL of a step and how the shards would run it. */
export async function describeStep(sides: Sides, step: Step): Promise<string> {
  const each = writesOf(step).map(async (write) => {
    const statement = buildWrite(sides.plain as unknown as WriteBuilder, write).toSQL();
    const plan = await sides.explain(statement).catch((error: unknown) => `none: ${String(error)}`);
    return `  ${statement.sql}\n  params ${JSON.stringify(statement.params)}\n  plan ${plan}`;
  });
  return (await Promise.all(each)).join('\n');
}
