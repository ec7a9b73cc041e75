import { ShardQueryError } from '../errors';
import type { Attempt } from '../placement/attempt';
import type { Demand, PlacedKey } from '../placement/guard';
import { canonicalKey } from '../placement/key';
import { type Pin, pinnedStatements, pinStatements, unpinStatements } from '../placement/pins';
import { joinRefusals, Refusal } from '../placement/signals';
import type { BoundStatement } from '../sql/bound';
import { isBalanced } from './balance';
import { afterRefusal } from './probe';
import { writeReference } from './reference-write';
import { joinResults, mergeBroadcast, mergeInsert } from './results';
import { jittered, pause } from './retry';
import type { BroadcastRoute, InsertRoute, TwoPhaseRoute } from './route';
import { demandOf, type Executor, spreadDemand } from './run';
import { writeSchema } from './schema-change';
import type { ShardRows } from './shard-set';
import { incompleteKey, rowsToWrite, writesByPrimaryKey } from './two-phase';
import {
  type Part,
  type PartOutcome,
  prepareParts,
  rehearse,
  resultsOf,
  settleParts,
  type WriteOptions,
  writeParts,
} from './write';

/** Rows to write, by their keys: `items` are the caller's own numbers of them. */
interface OwnedWork {
  readonly keys: readonly PlacedKey[];
  /** For each item the key that it belongs to. */
  readonly keyOf: (item: number) => string;
  readonly items: readonly number[];
  readonly statementsFor: (items: readonly number[]) => readonly BoundStatement[];
  /** Finds the keys again, for parts that were refused. */
  readonly place: (attempt: Attempt, keys: ReadonlySet<string>) => PlacedKey[] | Promise<PlacedKey[]>;
}

interface OwnedPart {
  readonly items: readonly number[];
  readonly results: readonly ShardRows[];
}

const noRehearsal = ({ cluster: { moveTimeoutMs } }: Executor, tables: readonly string[]): WriteOptions => ({
  tables,
  rehearse: false,
  moveTimeoutMs,
});

/** How often the rows of a refused part are given to new owners after others have been written. */
const MAX_REROUTES = 12;

/**
 * Writes rows on the shards that own them. Each part is a keyed write of its own, so that a part which is refused after
 * others were written can be given to the shards that have its keys now: no pin has to hold moves off.
 */
async function writeByOwner(
  executor: Executor,
  first: Attempt,
  work: OwnedWork,
  tables: readonly string[],
): Promise<OwnedPart[]> {
  const { shards, cluster } = executor;
  const done: OwnedPart[] = [];
  const finished: PartOutcome[] = [];
  let attempt = first;
  let keys = work.keys;
  let items = work.items;
  let deadline = 0;
  for (let round = 1; ; round++) {
    const groups = groupByShard(keys, items, work.keyOf);
    const parts = groups.map(
      ({ shard, own, items: list }): Part => ({
        demand: { ...demandOf(attempt, shard, own, true), once: `${attempt.name}:${list.join()}` },
        statements: work.statementsFor(list),
      }),
    );
    if (round === 1) await prepareParts(shards, parts, { tables, rehearse: cluster.rehearseWrites });
    const outcomes = await settleParts(shards, parts, { tables });
    const refusals: Refusal[] = [];
    const left: number[] = [];
    for (const [i, one] of outcomes.entries()) {
      const list = groups[i]?.items ?? [];
      if ('results' in one) done.push({ items: list, results: one.results });
      if (!('refusal' in one)) finished.push(one);
      else {
        refusals.push(one.refusal);
        left.push(...list);
      }
    }
    const busy = refusals.some(({ signal }) => signal.kind === 'busy');
    if (deadline === 0) deadline = Date.now() + cluster.moveTimeoutMs;
    const failed = finished.some((one) => 'error' in one);
    if (refusals.length === 0 && !failed) return done;
    // Nothing was written: all of it may be routed anew.
    if (!failed && done.length === 0) throw joinRefusals(refusals);
    if (failed || (busy ? Date.now() >= deadline : round > MAX_REROUTES)) {
      resultsOf([...finished, ...refusals.map((refusal) => ({ shard: refusal.shard, refusal }))], tables);
    }
    try {
      await pause(jittered(5, round, 250));
      attempt = await afterRefusal(executor, attempt, joinRefusals(refusals), round > 2);
      keys = await work.place(attempt, new Set(left.map(work.keyOf)));
    } catch (error) {
      items = left;
      // Refused while databases were looked into: the part is sent where it was, and refused there again or taken.
      if (error instanceof Refusal) continue;
      const failures = refusals.map(({ shard }) => ({ shard, error: new ShardQueryError(shard, error, { tables }) }));
      return resultsOf([...finished, ...failures], tables) as never;
    }
    items = left;
  }
}

function groupByShard(
  keys: readonly PlacedKey[],
  items: readonly number[],
  keyOf: (item: number) => string,
): { shard: string; own: PlacedKey[]; items: number[] }[] {
  const byKey = new Map(keys.map((one) => [one.key, one]));
  const groups = new Map<string, number[]>();
  for (const item of items) {
    const { shard } = byKey.get(keyOf(item)) as PlacedKey;
    const group = groups.get(shard);
    if (group) group.push(item);
    else groups.set(shard, [item]);
  }
  // Also keys that the statement only reads there.
  return [...groups].map(([shard, list]) => ({ shard, own: keys.filter((key) => key.shard === shard), items: list }));
}

/** An INSERT whose rows live on several shards, or need several statements. */
export async function runInsert(
  executor: Executor,
  route: InsertRoute,
  attempt: Attempt,
  tables: readonly string[],
): Promise<ShardRows> {
  const { rowKeys, statementsFor, keys } = route;
  // Whole on one shard: there is no key to go by.
  if (rowKeys.length === 0) {
    const parts = route.parts.map(({ shard, keys: own, statements }) => ({
      demand: { ...demandOf(attempt, shard, own, true), once: attempt.name },
      statements,
    }));
    return mergeInsert(route, route.parts, await writeParts(executor.shards, parts, noRehearsal(executor, tables)));
  }
  const { keyspace } = keys[0] as PlacedKey;
  const work = {
    keys,
    keyOf: (row: number) => rowKeys[row] as string,
    items: [...rowKeys.keys()],
    statementsFor,
    place: (next: Attempt, again: ReadonlySet<string>) => next.placeNew(keyspace, again),
  };
  const parts = await writeByOwner(executor, attempt, work, tables);
  return mergeInsert(
    route,
    parts.map(({ items }) => ({ rows: items })),
    parts.map(({ results }) => results),
  );
}

/** Finds the rows first, then writes them by primary key on the shards that own them. */
export async function runTwoPhase(
  executor: Executor,
  { step, key, keyspace, find, params }: TwoPhaseRoute,
  attempt: Attempt,
  tables: readonly string[],
): Promise<ShardRows> {
  const { rows } = await executor.rows(find, 'arrays');
  const found = rowsToWrite(rows, tables, find.sql).map(({ key: value, row }) => {
    const canonical = canonicalKey(value, key.affinity);
    if (typeof canonical === 'string') return { key: canonical, row };
    throw incompleteKey(row, tables);
  });
  if (found.length === 0) return joinResults([]);
  const keys = await attempt.place(keyspace, new Set(found.map((one) => one.key)));
  const work = {
    keys,
    keyOf: (item: number) => found[item]?.key as string,
    items: [...found.keys()],
    statementsFor: (items: readonly number[]) =>
      writesByPrimaryKey(
        step,
        params,
        items.map((item) => found[item]?.row as string),
      ),
    place: (next: Attempt, again: ReadonlySet<string>) => next.place(keyspace, again),
  };
  const parts = await writeByOwner(executor, attempt, work, tables);
  return joinResults(parts.flatMap(({ results }) => results));
}

/**
 * The same write on several shards. Pins hold moves off from before the first change until after the last, so that each row
 * is hit exactly once; a pin that cannot be had means that nothing was written yet.
 */
export async function runBroadcast(
  executor: Executor,
  route: BroadcastRoute,
  attempt: Attempt,
  tables: readonly string[],
): Promise<ShardRows> {
  const { statements, ddl, same, shards: names } = route;
  const { shards } = executor;
  if (ddl) {
    const parts = names.map((shard) => ({ demand: demandOf(attempt, shard, [], false), statements }));
    return mergeBroadcast(route, await writeSchema(executor, attempt, parts, tables));
  }
  if (names.length === 1) {
    const demand = { ...demandOf(attempt, names[0] as string, route.keys, true, route.all), once: attempt.name };
    const only = { demand, statements };
    return mergeBroadcast(route, await writeParts(shards, [only], noRehearsal(executor, tables)));
  }
  const demandAt = (shard: string) => spreadDemand(attempt, shard, route, true);
  // Its pin stands for what was checked when that was placed.
  const parts = names.map((shard) => ({ demand: demandOf(attempt, shard, [], false), statements }));
  if (same) return mergeBroadcast(route, await writeReference(executor, attempt, parts, demandAt, tables));
  const pinning = { parts, demandAt, all: route.all };
  return mergeBroadcast(route, await writePinned(executor, attempt, pinning, tables));
}

/** A write to several shards under pins. */
export interface PinnedWrite {
  readonly parts: readonly Part[];
  /** What is checked of a shard when its pin is placed. */
  readonly demandAt: (shard: string) => Demand;
  /** Rows of any key are written: the digests must add up. */
  readonly all: boolean;
}

/**
 * Holds a pin on every shard, tries the part of each on all of them, and then runs it in the batch that gives up its pin. Takes
 * those away that are left when it fails.
 */
export async function writePinned(
  executor: Executor,
  attempt: Attempt,
  { parts, demandAt, all }: PinnedWrite,
  tables: readonly string[],
): Promise<ShardRows[][]> {
  const { shards, cluster } = executor;
  const names = parts.map(({ demand }) => demand.shard);
  const pin: Pin = { id: newPinId(), journaled: false };
  const purpose = { tables, write: false };
  try {
    const answers = await shards.askAll(names, (shard) => shards.guarded(demandAt(shard), pinStatements(pin), purpose));
    if (all && !isBalanced(answers, attempt.base)) throw new Refusal(names[0] as string, { kind: 'unbalanced' }, []);
    if (cluster.rehearseWrites) await rehearse(shards, parts, tables);
    const pinned = parts.map(({ demand, statements }) => ({ demand, statements: pinnedStatements(pin, statements) }));
    const results = resultsOf(await settleParts(shards, pinned, { tables }), tables);
    return results.map((one) => one.slice(1, -1));
  } catch (error) {
    // Best effort: a pin that stays holds moves off until it expires.
    await shards.forEach(names, async (shard) => {
      try {
        await shards.guarded(demandOf(attempt, shard, [], false), unpinStatements(pin), purpose);
      } catch {
        // The error that is thrown says more.
      }
    });
    throw error;
  }
}

/** Random, so that writers of all isolates have different ones. */
const newPinId = (): number => Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);
