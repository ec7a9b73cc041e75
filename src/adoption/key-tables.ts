import type { CarriedTable } from '../moves/carry';
import { carriedTables, placements } from '../moves/carry';
import type { MoveIo } from '../moves/io';
import { readSchemaStatements, schemaOf, type TableInfo } from '../moves/schema';
import type { MoveSpec } from '../moves/spec';
import { foldName } from '../sql/tokens';

/** A table whose rows belong to keys. */
export interface KeyTable extends CarriedTable {
  readonly key: string;
  readonly keyspace: string;
  readonly rowidAlias: string | undefined;
}

/** The user's tables of a database. */
export interface ShardTables {
  readonly infos: readonly TableInfo[];
  readonly keyed: readonly KeyTable[];
}

export async function readTables(
  io: Pick<MoveIo, 'run'>,
  spec: MoveSpec,
  shards: readonly string[],
): Promise<Map<string, ShardTables>> {
  const tables = new Map<string, ShardTables>();
  for (const shard of shards) {
    const schema = schemaOf(await io.run(shard, readSchemaStatements));
    const placed = placements(spec, schema);
    const infos = [...schema.tables.values()];
    const keyed = infos.flatMap((info): KeyTable[] => {
      const placement = placed.get(foldName(info.name));
      if (placement?.kind !== 'sharded') return [];
      const [carried] = carriedTables([info], () => placement.key.name);
      const { keyspace, key } = placement;
      return [{ ...(carried as CarriedTable), key: key.name, keyspace, rowidAlias: info.shape.rowidAlias }];
    });
    tables.set(shard, { infos, keyed });
  }
  return tables;
}
