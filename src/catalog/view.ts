import type { CatalogView, Enrolment, KeyspaceMap, ShardInfo, ShardMap, SlotRange } from './catalog';
import type { Program, Row, Statement } from './program';

/** The last adoption of a keyspace that is not done; 0 for none. */
function lastAdoption(keyspace: string): string {
  return `coalesce((select max(id) from _shard_catalog_adoptions where keyspace = ${keyspace} and done = 0), 0)`;
}

/** Of a row of shards and a row of keyspaces, under these names: the shard has not been told of the keyspace. */
export const NOT_ENROLLED = `not exists (
  select 1 from _shard_catalog_enrolled where shard = shards.name and keyspace = keyspaces.name
    and adoption >= ${lastAdoption('keyspaces.name')})`;

const READ_VIEW: readonly Statement[] = [
  'select id, epoch, base from _shard_catalog_cluster',
  'select name, region, weight, state, join_weight from _shard_catalog_shards order by position',
  'select name, strategy, directory from _shard_catalog_keyspaces order by name',
  'select keyspace, lo, hi, shard from _shard_catalog_slots order by keyspace, lo',
  'select id, keyspace, shard from _shard_catalog_adoptions where done = 0 order by id',
  `select shards.name as shard, shards.join_weight as weight, keyspaces.name as keyspace
    from _shard_catalog_shards as shards cross join _shard_catalog_keyspaces as keyspaces
    where shards.state <> 'retired' and ${NOT_ENROLLED} order by shards.position, keyspaces.name`,
].map((sql) => ({ sql, params: [] }));

/** `Catalog.map`. */
export const mapProgram: Program<CatalogView | undefined> = {
  statements: READ_VIEW,
  read: readView,
  whenEmpty: { answer: undefined },
};

/** Writes to a cluster that is there by the end of them, and the view that they lead to. */
export function changeProgram(changes: readonly Statement[]): Program<CatalogView> {
  return {
    statements: [...changes, ...READ_VIEW],
    read: (results) => {
      const view = readView(results.slice(changes.length));
      if (!view) throw new Error('The catalog has no cluster yet: open makes it.');
      return view;
    },
  };
}

function readView(results: readonly (readonly Row[])[]): CatalogView | undefined {
  const [[cluster] = [], shards = [], keyspaces = [], slots = [], adoptions = [], pairs = []] = results;
  if (!cluster) return undefined;
  const maps = new Map(keyspaces.map((row) => [String(row.name), readKeyspace(row)]));
  for (const row of slots) maps.get(String(row.keyspace))?.ranges.push(readRange(row));
  for (const { id, keyspace, shard } of adoptions) {
    const known = maps.get(String(keyspace));
    if (!known) continue;
    known.adopting ??= [];
    known.adopting.push({ id: Number(id), shard: String(shard) });
  }
  const map: ShardMap = {
    cluster: String(cluster.id),
    epoch: Number(cluster.epoch),
    base: Number(cluster.base),
    shards: shards.map(readShard),
    keyspaces: Object.fromEntries(maps),
  };
  return { map, pending: readPending(pairs, map) };
}

const readKeyspace = ({ strategy, directory }: Row): KeyspaceMap => ({
  strategy: String(strategy),
  directory: directory === 1,
  ranges: [],
});

const readRange = ({ lo, hi, shard }: Row): SlotRange => ({ lo: Number(lo), hi: Number(hi), shard: String(shard) });

const readShard = ({ name, region, weight, state, join_weight }: Row): ShardInfo => ({
  name: String(name),
  ...(region === null ? {} : { region: String(region) }),
  weight: Number(weight),
  state: state as ShardInfo['state'],
  ...(join_weight === 0 ? {} : { joinWeight: Number(join_weight) }),
});

/** The pairs of shard and keyspace, which come in order, as one enrolment a shard. */
function readPending(pairs: readonly Row[], { shards, keyspaces }: ShardMap): Enrolment[] {
  const first = shards.find(({ state }) => state !== 'retired');
  // Almost always, and then the ranges need not be sorted.
  if (!first || pairs.length === 0) return [];
  const closed = shards.filter(({ state }) => state === 'draining' || state === 'retired').map(({ name }) => name);
  const owned = new Map(Object.entries(keyspaces).map(([name, { ranges }]) => [name, rangesByShard(ranges)]));
  const enrolments = new Map<string, Enrolment>();
  for (const pair of pairs) {
    const shard = String(pair.shard);
    const name = String(pair.keyspace);
    let enrolment = enrolments.get(shard);
    if (!enrolment) {
      enrolment = { shard, weight: Number(pair.weight), anchor: first.name, closed, keyspaces: [] };
      enrolments.set(shard, enrolment);
    }
    const adopting = keyspaces[name]?.adopting;
    enrolment.keyspaces.push({
      name,
      ranges: owned.get(name)?.get(shard) ?? [],
      ...(adopting ? { adopting } : {}),
    });
  }
  return [...enrolments.values()];
}

function rangesByShard(ranges: readonly SlotRange[]): Map<string, [lo: number, hi: number][]> {
  const byShard = new Map<string, [lo: number, hi: number][]>();
  for (const { lo, hi, shard } of ranges) {
    const own = byShard.get(shard);
    if (own) own.push([lo, hi]);
    else byShard.set(shard, [[lo, hi]]);
  }
  return byShard;
}
