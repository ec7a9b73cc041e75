import type { SlotRange } from '../catalog/catalog';

/** A shard that may own slots, and its share of them relative to the others. */
export interface Weighted {
  readonly name: string;
  readonly weight: number;
}

/** Consecutive slots that go from one shard to another, both ends included. */
export interface SlotMove {
  readonly lo: number;
  readonly hi: number;
  readonly from: string;
  readonly to: string;
}

/**
 * The least movement after which every shard owns its share of the slots, to within one: who has too many gives the ends of
 * its ranges to who has too few. A shard that is not listed (draining) gives all of its slots.
 *
 * @param gives Shards that may give slots away. Default: all.
 * @example
 * evenOut(map.keyspaces.default.ranges, [{ name: 'a', weight: 1 }, { name: 'b', weight: 1 }]);
 */
export function evenOut(
  ranges: readonly SlotRange[],
  shards: readonly Weighted[],
  gives: (shard: string) => boolean = () => true,
): SlotMove[] {
  const owned = new Map<string, number>();
  for (const { lo, hi, shard } of ranges) owned.set(shard, (owned.get(shard) ?? 0) + hi - lo + 1);
  const total = [...owned.values()].reduce((sum, count) => sum + count, 0);
  const targets = targetsOf(total, shards, owned);
  const surplus = (shard: string) => (owned.get(shard) ?? 0) - (targets.get(shard) ?? 0);
  const receivers = shards.map(({ name }) => ({ name, lacks: -surplus(name) })).filter(({ lacks }) => lacks > 0);
  const moves: SlotMove[] = [];
  for (const from of [...owned.keys()].filter(gives)) {
    let left = surplus(from);
    // From the end, so that what stays is in as few pieces as before.
    for (const { lo, hi } of ranges.filter(({ shard }) => shard === from).reverse()) {
      let end = hi;
      while (left > 0 && end >= lo) {
        const receiver = receivers.find(({ lacks }) => lacks > 0);
        if (!receiver) return moves;
        const count = Math.min(left, receiver.lacks, end - lo + 1);
        moves.push({ lo: end - count + 1, hi: end, from, to: receiver.name });
        end -= count;
        left -= count;
        receiver.lacks -= count;
      }
    }
  }
  return moves;
}

/** Whole slots by weight. What is left over goes to those who have more than their share already, so that it stays there. */
function targetsOf(
  total: number,
  shards: readonly Weighted[],
  owned: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const weights = shards.reduce((sum, { weight }) => sum + weight, 0);
  const exact = shards.map(({ name, weight }) => ({ name, share: weights > 0 ? (total * weight) / weights : 0 }));
  const targets = new Map(exact.map(({ name, share }) => [name, Math.floor(share)]));
  let left = total - [...targets.values()].reduce((sum, count) => sum + count, 0);
  const excess = ({ name, share }: (typeof exact)[number]) => (owned.get(name) ?? 0) - share;
  for (const { name } of [...exact].sort((a, b) => excess(b) - excess(a))) {
    if (left-- <= 0) break;
    targets.set(name, (targets.get(name) ?? 0) + 1);
  }
  return targets;
}
