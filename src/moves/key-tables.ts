import { type CarriedTable, carriedTables, placements } from './carry';
import type { MoveIo } from './io';
import { readSchemaStatements, type ShardSchema, schemaOf, type TableInfo } from './schema';
import type { MoveSpec } from './spec';

/** A table whose rows belong to keys. */
export interface KeyTable extends CarriedTable {
  readonly key: string;
  readonly keyspace: string;
  readonly rowidAlias: string | undefined;
  /** An index begins with the shard key. */
  readonly isIndexed: boolean;
}

export function keyTablesOf(spec: MoveSpec, schema: ShardSchema): KeyTable[] {
  const placed = placements(spec, schema);
  return [...schema.tables].flatMap(([folded, info]): KeyTable[] => {
    const placement = placed.get(folded);
    if (placement?.kind !== 'sharded') return [];
    const { keyspace, key } = placement;
    const [carried] = carriedTables([info], () => key.name);
    return [
      {
        ...(carried as CarriedTable),
        key: key.name,
        keyspace,
        rowidAlias: info.shape.rowidAlias,
        isIndexed: info.isIndexed(key.name),
      },
    ];
  });
}

/** The user's tables of a database. */
export interface ShardTables {
  readonly infos: readonly TableInfo[];
  readonly keyed: readonly KeyTable[];
}

export async function readTables(io: Pick<MoveIo, 'run'>, spec: MoveSpec, shard: string): Promise<ShardTables> {
  const schema = schemaOf(await io.run(shard, readSchemaStatements));
  return { infos: [...schema.tables.values()], keyed: keyTablesOf(spec, schema) };
}
