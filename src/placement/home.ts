import type { ShardMap } from '../catalog/catalog';

/** The shard that owns a slot and so decides where its keys live; undefined when nobody does. */
export const homeOf = ({ keyspaces }: ShardMap, keyspace: string, slot: number): string | undefined =>
  keyspaces[keyspace]?.ranges.find(({ lo, hi }) => lo <= slot && slot <= hi)?.shard;
