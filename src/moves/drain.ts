import type { Move } from '../catalog/journal';
import { MoveInProgressError, MoveRefusedError } from '../errors';
import { jittered, pause } from '../execution/retry';
import { xor52 } from '../placement/xor';
import { bound, name, sql } from '../sql/tag';
import { placements } from './carry';
import type { MoveIo } from './io';
import { checkIdentity } from './move-sql';
import { readSchemaStatements, schemaOf } from './schema';
import type { MoveSpec } from './spec';
import { collect } from './steps';

const isOpenAt = (shard: string) => (move: Move) => move.from === shard || move.to === shard;

/**
 * No new keys for a shard: it is `draining` in the catalog, which then journals no move to it, and every shard that may be a
 * key's home refuses claims for it.
 */
export async function closeShard(io: MoveIo, shard: string): Promise<void> {
  const { map, pending } = await io.catalog.setDraining(shard, true);
  if (pending.length > 0) {
    throw new MoveInProgressError(`The shard ${pending[0]?.shard} is just being added.`, {
      remedy: 'Try again in a moment.',
    });
  }
  for (const { name: each, state } of map.shards) {
    if (state === 'retired') continue;
    await io.run(
      each,
      [
        checkIdentity(io.cluster, each),
        sql`insert into _shard_closed (shard) values (${shard}) on conflict do nothing`,
      ].map(bound),
    );
  }
}

/** Takes {@link closeShard} back. */
export async function reopenShard(io: MoveIo, shard: string): Promise<void> {
  const { map } = await io.catalog.setDraining(shard, false);
  for (const { name: each, state } of map.shards) {
    if (state !== 'retired') await io.run(each, [bound(sql`delete from _shard_closed where shard = ${shard}`)]);
  }
}

/** How often shards are looked at again while moves of others go on between the answers. */
const LOOKS = 20;

/**
 * The last step of a drain. The look begins when no move goes to the shard or comes from it, and counts only if nothing changed
 * hands between the answers: a record could move from a shard that is asked later to one that was asked before.
 *
 * @returns False when there is still something on it.
 */
export async function retireShard(io: MoveIo, spec: MoveSpec, shard: string, job: number): Promise<boolean> {
  const open = (await io.catalog.moves(0)).find(isOpenAt(shard));
  if (open) throw new MoveInProgressError(`Move ${open.id} of ${shard} is under way.`, { shard });
  const floor = await io.catalog.floor();
  for (let look = 1; ; look++) {
    const view = await io.catalog.map();
    const names = view?.map.shards.filter(({ state }) => state !== 'retired').map((one) => one.name) ?? [];
    const answers = await Promise.all(names.map((each) => lookAt(io, each, shard, floor)));
    if (xor52(answers.map(({ digest }) => digest)) === view?.map.base) {
      if (answers.some(({ left }) => left > 0)) return false;
      await checkRows(io, spec, shard);
      const digest = answers[names.indexOf(shard)]?.digest ?? 0;
      const { map } = await io.catalog.retire(shard, digest, job);
      if (map.shards.find((one) => one.name === shard)?.state === 'retired') return true;
      throw new MoveInProgressError(`The catalog did not let ${shard} go: a move or another shard came in between.`, {
        shard,
      });
    }
    if (look === LOOKS) throw new MoveInProgressError('Rows kept changing hands between the answers of the shards.');
    await pause(jittered(50, look, 1000));
  }
}

/** What a shard has of another one: records of keys there; and what the other one itself owns. */
async function lookAt(
  io: MoveIo,
  each: string,
  shard: string,
  floor: number,
): Promise<{ digest: number; left: number }> {
  const own = sql`(select count(*) from _shard_slots) + (select count(*) from _shard_keys where at = ${shard})`;
  const others = sql`(select count(*) from _shard_keys where at = ${shard})`;
  const rows = await io.run(each, [
    ...collect(io.cluster, each, floor),
    bound(sql`select digest, ${each === shard ? own : others} as "left" from _shard_identity`),
  ]);
  const row = rows.at(-1)?.[0];
  return { digest: Number(row?.digest), left: Number(row?.left) };
}

/** Rows that nobody owns, or that only this shard has: they would be out of reach. */
async function checkRows(io: MoveIo, spec: MoveSpec, shard: string): Promise<void> {
  const schema = schemaOf(await io.run(shard, readSchemaStatements));
  const placed = placements(spec, schema);
  const tables = [...schema.tables].flatMap(([key, info]) =>
    placed.get(key)?.kind === 'replicated' ? [] : [info.name],
  );
  if (tables.length === 0) return;
  const found = await io.run(
    shard,
    tables.map((table) => bound(sql`select exists (select 1 from ${name(table)}) as n`)),
  );
  const [left] = tables.filter((_, i) => found[i]?.[0]?.n === 1);
  if (left === undefined) return;
  throw new MoveRefusedError(`${shard} still has rows of ${left} that no shard key leads to.`, {
    tables: [left],
    shard,
    remedy: `Look at them with db.$shard('${shard}'), and at db.$cluster.verify().`,
  });
}
