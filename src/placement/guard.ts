import type { BoundStatement } from '../sql/bound';

/** A canonical key in its keyspace. */
export interface Key {
  readonly keyspace: string;
  readonly key: string;
  readonly slot: number;
}

/** A key and the shard that is believed to own it. */
export interface PlacedKey extends Key {
  readonly shard: string;
  /**
   * Set when the key's home has sent us to `shard`, which may have no record of it yet: the version that `shard` was known
   * to have before home was asked. If it still has it, the key cannot have been there and moved on in between.
   */
  readonly known?: number;
  /**
   * Set when the databases that came with rows were looked into and none has this key: the last adoption that was known then.
   * See `adopting.ts`.
   */
  readonly probed?: number;
}

/** What a shard has to be, and to own, for the answers of a batch to count. */
export interface Demand {
  readonly cluster: string;
  readonly shard: string;
  /** Keys that it must own. */
  readonly own: readonly PlacedKey[];
  /** Keys that other shards are asked for with the same statement: this one must not own them, or rows would come twice. */
  readonly absent: readonly PlacedKey[];
  /** Keys that are being moved refuse writes. */
  readonly write: boolean;
  /**
   * Names this part of this statement over all tries, for `exactlyOnce`: what was applied, and its answer lost, is not applied
   * again under the same name.
   */
  readonly once?: string;
  /** The batch notes its keys: see {@link noteStatement}. */
  readonly notes?: boolean;
  /** What its digest must be; set where this shard alone answers for all. */
  readonly digest?: number;
}

/** The columns of a guard's row. */
export interface GuardRow {
  /** Grows whenever the shard gives up a key or a slot. */
  readonly version: number;
  /** XOR of the weights of all moves that ended here. */
  readonly digest: number;
  /** Not null when the key has a record here; for several keys, their places in the list, as JSON. */
  readonly here: string | null;
}

/** `json_extract` with a bad path is an error that carries a text, and rolls the whole batch back without a write. */
export const raise = (text: string): string => `json_extract('{}', ${text})`;

export const IDENTITY = raise("'SHARD_IDENTITY ' || hex(json_array(i.name, i.cluster))");
export const NOT_OWNER = raise("'SHARD_NOT_OWNER ' || hex(i.version)");
export const BUSY = raise("'SHARD_BUSY'");
const NOTING = raise("'SHARD_NOTING'");
/** `[id, keyspace, source]` of each database that was not scanned yet. */
export const ADOPTING = raise(
  "'SHARD_ADOPTING ' || (select hex(json_group_array(json_array(a.id, a.keyspace, a.source))) from _shard_adopting a where a.done = 0)",
);
const UNBALANCED = raise("'SHARD_UNBALANCED'");
/** The slot's range, if one covers it, is the last that begins at or before it. */
export const owns = (keyspace: string, slot: string): string =>
  `coalesce((select hi from _shard_slots where keyspace = ${keyspace} and lo <= ${slot} order by lo desc limit 1), -1) >= ${slot}`;
export const IS_OTHER = 'i.name is not ?1 or i.cluster is not ?2';
export const FROM_IDENTITY = 'from (select 1) left join _shard_identity i on i.one = 1';

/** Whether a move has frozen the key, or landed it and is not through; only then writes have to wait. */
export const frozen = (keyspace: string, key: string, slot: string, at: string): string =>
  `exists (select 1 from _shard_moves m where m.keyspace = ${keyspace} and m.phase in ('frozen', 'landed')
    and case m.kind when 'slots' then ${at} is null and ${slot} between m.lo and m.hi
      else exists (select 1 from _shard_move_keys c where c.move = m.id and c.key = ${key}) end)`;

/** How much longer routers go on noting than a note counts for a move: clocks may differ, and step back. */
const NOTE_GRACE_SECONDS = 60;

/**
 * Whether the keys of this slot are being listed for a move. A write that may make a new key has to note it in its own batch,
 * or its row would be left behind.
 */
export const noting = (keyspace: string, slot: string): string =>
  `exists (select 1 from _shard_moves m where m.side = 'note' and m.keyspace = ${keyspace} and ${slot} between m.lo and m.hi
    and m.expires + ${NOTE_GRACE_SECONDS} >= unixepoch())`;

/**
 * Whether a database that came with rows of the keyspace was not scanned yet, so that one without a record may be there; but
 * for those up to `probed`, which were looked into.
 */
export const adopting = (keyspace: string, probed: string | undefined): string =>
  `exists (select 1 from _shard_adopting a where a.keyspace = ${keyspace} and a.done = 0${probed ? ` and a.id > ${probed}` : ''})`;

/** What a write adds to its batch on a shard whose keys are being listed; it does nothing for other keys. */
export const noteStatement = (keys: readonly Key[]): BoundStatement => ({
  sql: NOTE,
  params: [JSON.stringify(keys.map(({ keyspace, key, slot }) => [keyspace, key, slot]))],
});

/**
 * SHARD_MOVED carries `[place in the list, shard, how]` of each key. How: 0, a record on a shard that once had the key; 1, all
 * of the slot was released, with the shard's version; 2, the record of the key's home, which is always right.
 */
export const MOVED_BY = { record: 0, slot: 1, home: 2 } as const;

/** The condition on a row `m` of `_shard_moves`: the slot was released to its peer. */
export const released = (keyspace: string, slot: string): string =>
  `m.keyspace = ${keyspace} and m.side = 'out' and m.phase = 'released' and m.kind = 'slots' and ${slot} between m.lo and m.hi`;

/**
 * The first statement of every batch: one row of {@link GuardRow}, or an error that rolls the batch back. The rules, in
 * this order, are those of the model-checked protocol: identity, record elsewhere, not owned, frozen.
 *
 * @example
 * await d1.batch([prepare(guardStatement(demand)), ...statements]);
 */
export function guardStatement(demand: Demand): BoundStatement {
  const { own, absent } = demand;
  const [only, ...others] = own;
  if (only && others.length === 0 && absent.length === 0) return singleGuard(demand, only);
  return only || absent.length > 0 ? listGuard(demand) : identityGuard(demand);
}

function identityGuard({ shard, cluster, digest }: Demand): BoundStatement {
  return digest === undefined
    ? { sql: IDENTITY_GUARD, params: [shard, cluster] }
    : { sql: DIGEST_GUARD, params: [shard, cluster, String(digest)] };
}

/** One spelling, so that no text is built or sent for nothing on the hot path. */
const compact = (sql: string): string => sql.replace(/\s+/g, ' ');

const identityGuardSql = (last: string): string =>
  compact(
    `select case when ${IS_OTHER} then ${IDENTITY} ${last} end as guard, i.version, i.digest, null as here ${FROM_IDENTITY}`,
  );
const IDENTITY_GUARD = identityGuardSql('');
const DIGEST_GUARD = identityGuardSql(`when i.digest <> cast(?3 as integer) then ${UNBALANCED}`);

/** One key, bound directly: this is the hot path. */
function singleGuard({ shard, cluster, write, notes = false, digest }: Demand, key: PlacedKey): BoundStatement {
  const params: unknown[] = [shard, cluster, key.keyspace, key.key, key.slot];
  const known = key.known !== undefined && params.push(String(key.known));
  const sum = digest !== undefined && params.push(String(digest));
  const probed = key.probed !== undefined && params.push(String(key.probed));
  const mode = write ? (notes ? 'noted' : 'write') : 'read';
  if (!known && !sum && !probed) return { sql: SINGLE_GUARDS[mode], params };
  return { sql: singleGuardSql(mode, known, sum, probed), params };
}

/** `known`, `digest` and `probed`: the numbers of their parameters, if they are bound. */
function singleGuardSql(
  mode: 'read' | 'write' | 'noted',
  known: number | false,
  digest: number | false,
  probed: number | false,
): string {
  const unlessSent = known ? ` and i.version is not cast(?${known} as integer)` : '';
  const isOff = digest ? `when i.digest <> cast(?${digest} as integer) then ${UNBALANCED}` : '';
  const isBusy = mode === 'read' ? '' : `when ${frozen('?3', '?4', '?5', 'k.at')} then ${BUSY}`;
  // One that a home has sent here is not of this shard's slots.
  const isHome = known ? ` and ${owns('?3', '?5')}` : '';
  const isAdopting = `when k.at is null${isHome} and ${adopting('?3', probed ? `cast(?${probed} as integer)` : undefined)} then ${ADOPTING}`;
  const isNoting = mode === 'write' ? `when k.at is null and ${noting('?3', '?5')} then ${NOTING}` : '';
  return compact(`select case when ${IS_OTHER} then ${IDENTITY}
    when k.at <> i.name then ${raise(`'SHARD_MOVED ' || hex(json_array(json_array(0, k.at, 2 * (${owns('?3', '?5')}))))`)}
    when k.at is null and not ${owns('?3', '?5')}${unlessSent} then coalesce(
      ${raise(`'SHARD_MOVED ' || (select hex(json_group_array(json_array(0, m.peer, 1, i.version))) from _shard_moves m
        where ${released('?3', '?5')} having count(*) > 0)`)}, ${NOT_OWNER})
    ${isAdopting} ${isBusy} ${isNoting} ${isOff} end as guard, i.version, i.digest, k.at as here
    ${FROM_IDENTITY} left join _shard_keys k on k.keyspace = ?3 and k.key = ?4`);
}

const SINGLE_GUARDS = {
  read: singleGuardSql('read', false, false, false),
  write: singleGuardSql('write', false, false, false),
  noted: singleGuardSql('noted', false, false, false),
};

const NOTE =
  compact(`insert into _shard_scope (keyspace, key, slot) select j.value->>0, j.value->>1, j.value->>2 from json_each(?1) j
  where ${noting('j.value->>0', 'j.value->>2')} on conflict do nothing`);

/** Many keys in one JSON parameter, each `[keyspace, key, slot, is wanted here, known version, probed adoption]`. */
function listGuard({ shard, cluster, own, absent, write, notes = false, digest }: Demand): BoundStatement {
  const list = [
    ...own.map((one) => [one.keyspace, one.key, one.slot, 1, one.known ?? null, one.probed ?? 0]),
    ...absent.map((one) => [one.keyspace, one.key, one.slot, 0, null, 0]),
  ];
  const params: unknown[] = [shard, cluster, JSON.stringify(list)];
  const bind = (value: number) => `cast(?${params.push(String(value))} as integer)`;
  const isOff = digest === undefined ? '' : `when i.digest <> ${bind(digest)} then ${UNBALANCED}`;
  const isLost = 'r.own and r.at is null and not r.owns and r.known is not i.version';
  const unprobed = `exists (select 1 from r where r.own and r.at is null and r.owns and ${adopting('r.ks', 'r.probed')})`;
  const unnoted = `exists (select 1 from r where r.own and r.at is null and ${noting('r.ks', 'r.s')})`;
  const busy = `exists (select 1 from r where r.own and ${frozen('r.ks', 'r.k', 'r.s', 'r.at')})`;
  return {
    sql: compact(`with j as (select key as n, value->>0 as ks, value->>1 as k, value->>2 as s, value->>3 as own, value->>4 as known, value->>5 as probed from json_each(?3)),
      r as materialized (select j.*, t.at, ${owns('j.ks', 'j.s')} as owns
        from j left join _shard_keys t on t.keyspace = j.ks and t.key = j.k)
      select case when ${IS_OTHER} then ${IDENTITY}
      when exists (select 1 from r where r.own and r.at <> i.name) then
        ${raise("'SHARD_MOVED ' || (select hex(json_group_array(json_array(r.n, r.at, 2 * r.owns))) from r where r.own and r.at <> i.name)")}
      when exists (select 1 from r where ${isLost}) then coalesce(
        ${raise(`'SHARD_MOVED ' || (select hex(json_group_array(json_array(r.n, m.peer, 1, i.version))) from r
          join _shard_moves m on ${released('r.ks', 'r.s')} where ${isLost} having count(*) > 0)`)}, ${NOT_OWNER})
      when exists (select 1 from r where not r.own and coalesce(r.at = i.name, r.owns)) then ${raise("'SHARD_UNSETTLED'")}
      when ${unprobed} then ${ADOPTING}
      ${write ? `when ${busy} then ${BUSY}` : ''} ${write && !notes ? `when ${unnoted} then ${NOTING}` : ''} ${isOff} end as guard, i.version, i.digest,
        (select json_group_array(r.n) from r where r.own and r.at is not null having count(*) > 0) as here
      ${FROM_IDENTITY}`),
    params,
  };
}
