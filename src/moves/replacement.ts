import type { ShardMap } from '../catalog/catalog';
import type { JobStep } from '../catalog/journal';
import { slotOf } from '../placement/slots';
import { bound, sql } from '../sql/tag';
import type { MoveIo } from './io';
import type { PlannedMove } from './plan';

/** A job's steps are one value of the catalog. */
const MAX_KEYS = 20_000;

/**
 * Keys with placement records that should live elsewhere.
 *
 * @param placeOf The shard where a key should be.
 */
export async function planReplacement(
  io: MoveIo,
  map: ShardMap,
  placeOf: (key: string) => string,
): Promise<{ readonly moves: readonly PlannedMove[]; readonly steps: readonly JobStep[] }> {
  const wanted = new Map<string, { keyspace: string; to: string; keys: string[]; from: Map<string, number> }>();
  let total = 0;
  for (const [keyspace, { ranges }] of Object.entries(map.keyspaces)) {
    for (const { lo, hi, shard } of ranges) {
      const [rows = []] = await io.run(shard, [
        bound(sql`select key, at from _shard_keys where keyspace = ${keyspace} and slot between ${lo} and ${hi}`),
      ]);
      for (const row of rows) {
        const to = placeOf(String(row.key));
        if (to === row.at || total === MAX_KEYS) continue;
        total++;
        const id = JSON.stringify([keyspace, to]);
        const list = wanted.get(id) ?? { keyspace, to, keys: [] as string[], from: new Map<string, number>() };
        list.keys.push(String(row.key));
        list.from.set(String(row.at), (list.from.get(String(row.at)) ?? 0) + 1);
        wanted.set(id, list);
      }
    }
  }
  const lists = [...wanted.values()];
  const moves = lists.flatMap(({ keyspace, to, from }) =>
    [...from].map(([shard, records]): PlannedMove => ({ keyspace, from: shard, to: [to], slots: undefined, records })),
  );
  const steps = lists.map(({ keyspace, to, keys }): JobStep => {
    const sorted = [...keys].sort((a, b) => slotOf(a) - slotOf(b));
    return { do: 'keys', keyspace, keys: sorted, to };
  });
  return { moves, steps };
}
