import type { ShardMap } from '../catalog/catalog';
import type { JobStep } from '../catalog/journal';
import { evenOut, type Weighted } from '../placement/even-out';
import { SLOTS } from '../placement/slots';

/** The slots of one shard that go to another. */
export interface PlannedMove {
  readonly keyspace: string;
  readonly from: string;
  readonly to: readonly string[];
  /** Slots, both ends included; undefined: keys that live on `from` by a record. */
  readonly slots: { readonly lo: number; readonly hi: number } | undefined;
  /** Keys with their records; 0 for slots. */
  readonly records: number;
}

/** How many keys live on each shard by a record, per keyspace. */
export type RecordCounts = Readonly<Record<string, ReadonlyMap<string, number>>>;

const active = ({ shards }: ShardMap): Weighted[] => shards.filter(({ state }) => state === 'active');

const slotMoves = (keyspace: string, moves: ReturnType<typeof evenOut>): PlannedMove[] =>
  moves.map(({ lo, hi, from, to }) => ({ keyspace, from, to: [to], slots: { lo, hi }, records: 0 }));

/**
 * The least movement after which every shard has its share by weight of the slots, and of the keys that live somewhere by a
 * record. Pure.
 *
 * @param maxMoved The largest share of all slots that may move, from 0 to 1.
 */
export function planRebalance(
  map: ShardMap,
  records: RecordCounts,
  { shards, maxMoved = 1 }: { readonly shards?: readonly string[]; readonly maxMoved?: number },
): PlannedMove[] {
  const takes = (shard: string) => shards === undefined || shards.includes(shard);
  const all = active(map);
  return Object.entries(map.keyspaces).flatMap(([keyspace, { ranges }]) => {
    // Shards that take no part keep what they have: the others even out among themselves.
    const own = ranges.filter(({ shard }) => takes(shard));
    const moves = evenOut(
      own,
      all.filter(({ name }) => takes(name)),
    );
    const counts = records[keyspace] ?? new Map();
    return [
      ...slotMoves(keyspace, firstSlots(moves, Math.floor(maxMoved * SLOTS))),
      ...evenRecords(
        keyspace,
        counts,
        all.filter(({ name }) => takes(name)),
        maxMoved,
      ),
    ];
  });
}

/** The moves of at most so many slots. */
function firstSlots(moves: ReturnType<typeof evenOut>, limit: number): ReturnType<typeof evenOut> {
  let left = limit;
  return moves.flatMap((move) => {
    const count = Math.min(left, move.hi - move.lo + 1);
    left -= count;
    return count > 0 ? [{ ...move, lo: move.hi - count + 1 }] : [];
  });
}

function evenRecords(
  keyspace: string,
  counts: ReadonlyMap<string, number>,
  shards: readonly Weighted[],
  maxMoved: number,
): PlannedMove[] {
  const total = shards.reduce((sum, { name }) => sum + (counts.get(name) ?? 0), 0);
  const weights = shards.reduce((sum, { weight }) => sum + weight, 0);
  const surplus = shards.map(({ name, weight }) => ({
    name,
    left: (counts.get(name) ?? 0) - Math.round((total * weight) / weights),
  }));
  let allowed = Math.floor(total * maxMoved);
  const moves: PlannedMove[] = [];
  for (const giver of surplus.filter(({ left }) => left > 0)) {
    for (const taker of surplus.filter(({ left }) => left < 0)) {
      const count = Math.min(giver.left, -taker.left, allowed);
      if (count <= 0) continue;
      giver.left -= count;
      taker.left += count;
      allowed -= count;
      moves.push({ keyspace, from: giver.name, to: [taker.name], slots: undefined, records: count });
    }
  }
  return moves;
}

/** Everything that a shard has, spread over the others by weight and by what they have already. Pure. */
export function planDrain(map: ShardMap, records: RecordCounts, shard: string): PlannedMove[] {
  const others = active(map).filter(({ name }) => name !== shard);
  const targets = others.map(({ name }) => name);
  return Object.entries(map.keyspaces).flatMap(([keyspace, { ranges }]) => {
    const count = records[keyspace]?.get(shard) ?? 0;
    return [
      ...slotMoves(
        keyspace,
        evenOut(ranges, others, (name) => name === shard),
      ),
      { keyspace, from: shard, to: targets, slots: undefined, records: count },
    ];
  });
}

export const stepsOf = (moves: readonly PlannedMove[], limited: boolean): JobStep[] =>
  moves.map(({ keyspace, from, to, slots, records }) =>
    slots
      ? { do: 'slots', keyspace, ...slots, from, to: to[0] as string }
      : { do: 'records', keyspace, from, to, ...(limited ? { count: records } : {}) },
  );
