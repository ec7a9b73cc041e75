import { MoveRefusedError } from '../errors';
import { bound, name, sql } from '../sql/tag';
import { type Cargo, planCargo } from './carry';
import type { MoveIo } from './io';
import type { PlacedMove } from './move-sql';
import { readSchemaStatements, type ShardSchema, schemaOf } from './schema';
import type { MoveSpec } from './spec';

/** What goes along from one shard to another, as their schemas were when first asked for. Batches raise SCHEMA where they changed. */
export class Cargos {
  readonly #known = new Map<string, Cargo>();

  constructor(
    readonly io: MoveIo,
    readonly spec: MoveSpec,
  ) {}

  async of(keyspace: string, from: string, to: string): Promise<Cargo> {
    const key = JSON.stringify([keyspace, from, to]);
    const known = this.#known.get(key);
    if (known) return known;
    const [source, target] = await Promise.all([this.schema(from), this.schema(to)]);
    const cargo = planCargo(this.spec, keyspace, source, target);
    this.#known.set(key, cargo);
    return cargo;
  }

  /** @throws MoveRefusedError where rows could not go along. */
  async forMove({ keyspace, from, to }: PlacedMove): Promise<Cargo> {
    const cargo = await this.of(keyspace, from, to);
    await this.#checkUnusable(from, cargo);
    return cargo;
  }

  async schema(shard: string): Promise<ShardSchema> {
    return schemaOf(await this.io.run(shard, readSchemaStatements));
  }

  forget(): void {
    this.#known.clear();
  }

  /** Tables without a shard key: their rows belong to nobody, so that they could not go along. */
  async #checkUnusable(from: string, { unusable }: Cargo): Promise<void> {
    if (unusable.length === 0) return;
    const found = await this.io.run(
      from,
      unusable.map((table) => bound(sql`select exists (select 1 from ${name(table)}) as n`)),
    );
    const [table] = unusable.filter((_, i) => found[i]?.[0]?.n === 1);
    if (table === undefined) return;
    throw new MoveRefusedError(`${table} has rows and no shard key: which of them belong to the move cannot be told.`, {
      tables: [table],
      remedy: `Write tables: { ${table}: { key: '<column>' } }, { replicated: true } or { shard: '${from}' }.`,
    });
  }
}
