import type { MigrationBundle } from '../../migrations/bundle';
import { type Inspection, inspectShards } from '../../migrations/inspect-shards';
import { expectedSchema, type SchemaAfter } from '../../migrations/schema/expected';
import type { Context } from '../command';
import { wholeNumber } from '../options';

/** The migrations of the project, and how to tell what they make. */
export interface MigrationsContext {
  readonly migrations: MigrationBundle;
  readonly concurrency: number;
  /** Undefined where nobody wants to know, with --no-drift. */
  readonly expected: SchemaAfter | undefined;
}

export const NO_DRIFT = ['--no-drift', 'do not compare the tables with what the migrations give'] as const;

export async function migrationsContext({ project, fleet, options }: Context): Promise<MigrationsContext> {
  const migrations = (await project()).migrations();
  const { scratch } = await fleet();
  const concurrency = wholeNumber(options, 'concurrency') ?? 6;
  if (options.drift === false) return { migrations, concurrency, expected: undefined };
  // A database is only made where there is something to compare.
  let expected: Promise<SchemaAfter> | undefined;
  return {
    migrations,
    concurrency,
    expected: async (applied) => {
      expected ??= scratch().then((database) => expectedSchema(database));
      return (await expected)(applied);
    },
  };
}

/** Where each shard stands; changes nothing. */
export async function inspect(context: Context): Promise<Inspection> {
  const { migrations, ...settings } = await migrationsContext(context);
  const { db } = await context.fleet();
  const { concurrency, expected } = settings;
  return inspectShards(db, migrations, { concurrency, ...(expected ? { expected } : {}) });
}
