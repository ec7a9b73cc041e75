import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { readMigrationsFolder } from '../../in-node/migrations-folder';
import type { MigrationBundle } from '../../migrations/bundle';
import type { Sharding } from '../../sharding';
import { UsageError } from '../errors';
import { type DrizzleConfig, loadSchema, readDrizzleConfig } from './drizzle-config';
import { findScript, loadModule } from './load-module';
import {
  type DatabaseBinding,
  findWranglerConfig,
  loadWrangler,
  readWranglerConfig,
  type Wrangler,
  type WranglerConfig,
} from './wrangler-config';

/** Where the files are, when they are not where they usually are. */
export interface ProjectFiles {
  readonly config?: string | undefined;
  readonly drizzleConfig?: string | undefined;
  readonly sharding?: string | undefined;
  readonly env?: string | undefined;
}

/** What the project of a user says of its cluster. */
export class Project {
  private constructor(
    /** The folder of wrangler's configuration. */
    readonly root: string,
    readonly wrangler: Wrangler,
    readonly config: WranglerConfig,
    readonly drizzle: DrizzleConfig | undefined,
    readonly sharding: Sharding,
    /** The file that says so; without one, it was made up from wrangler's configuration. */
    readonly shardingPath: string | undefined,
  ) {}

  /**
   * Reads `wrangler.toml`, `drizzle.config.ts` and `sharded.config.ts`.
   *
   * @throws UsageError when one of them is missing or does not fit the others.
   */
  static async read(cwd: string, files: ProjectFiles): Promise<Project> {
    const path = findWranglerConfig(cwd, files.config);
    const root = dirname(path);
    const wrangler = await loadWrangler(root);
    const config = readWranglerConfig(wrangler, path, files.env);
    const drizzle = await readDrizzleConfig(root, files.drizzleConfig);
    const shardingPath =
      files.sharding === undefined ? findScript(root, 'sharded.config') : resolve(cwd, files.sharding);
    const sharding = shardingPath === undefined ? await madeUp(config, drizzle) : await readSharding(shardingPath);
    return new Project(root, wrangler, config, drizzle, sharding, shardingPath);
  }

  /** The D1 of each shard. */
  databases(): Map<string, DatabaseBinding> {
    const bound = new Map(this.config.databases.map((one) => [one.binding, one]));
    const shardOf = new Map<string, string>();
    for (const [shard, binding] of Object.entries(this.sharding.shards)) {
      const other = shardOf.get(binding);
      if (other !== undefined) {
        throw new UsageError(`The shards ${other} and ${shard} are both bound as ${binding}.`, {
          remedy: 'Every shard is a database of its own.',
        });
      }
      shardOf.set(binding, shard);
    }
    return new Map(
      Object.entries(this.sharding.shards).map(([shard, binding]) => {
        const found = bound.get(binding);
        if (found) return [shard, found];
        throw new UsageError(`The shard ${shard} is bound as ${binding}, which ${this.#where()} does not have.`, {
          remedy: `It has ${this.config.databases.map((one) => one.binding).join(', ')}.`,
        });
      }),
    );
  }

  /** The Durable Object that holds the catalog; undefined where a D1 does. */
  coordinator(): WranglerConfig['objects'][number] | undefined {
    const { coordinator } = this.sharding;
    if (coordinator === undefined) return undefined;
    const found = this.config.objects.find(({ binding }) => binding === coordinator);
    if (found) return found;
    throw new UsageError(`The coordinator is bound as ${coordinator}, which ${this.#where()} does not have.`, {
      remedy: 'Add it to [[durable_objects.bindings]].',
    });
  }

  /** @throws UsageError when there are none. */
  migrations(): MigrationBundle {
    return readMigrationsFolder(this.needDrizzle().out);
  }

  needDrizzle(): DrizzleConfig {
    if (this.drizzle) return this.drizzle;
    throw new UsageError(`There is no drizzle.config.ts in ${this.root}.`, {
      remedy: 'It says where the migrations are; or name it: --drizzle-config path/to/drizzle.config.ts',
    });
  }

  /**
   * Rows are moved by the rules of the Worker: by others they would be taken apart.
   *
   * @throws UsageError when nobody has said what they are.
   */
  needSharding(command: string): void {
    if (this.shardingPath !== undefined) return;
    throw new UsageError(`${command} moves rows, and there is no sharded.config.ts that says where they belong.`, {
      remedy: 'Put what shardedDrizzle() is given into one, with defineSharding(): see docs/cli.md.',
    });
  }

  #where(): string {
    const { path, env } = this.config;
    return env === undefined ? path : `${path} (environment ${env})`;
  }
}

async function readSharding(path: string): Promise<Sharding> {
  if (!existsSync(path)) throw new UsageError(`There is no ${path}.`);
  const { default: sharding } = (await loadModule(path)) as { default?: Partial<Sharding> };
  const { shards } = sharding ?? {};
  if (typeof shards !== 'object' || Object.values(shards).some((binding) => typeof binding !== 'string')) {
    throw new UsageError(`${path} does not say which D1 each shard is.`, {
      remedy: "export default defineSharding({ shards: { 'db-east': 'DB_EAST' }, ... })",
    });
  }
  return sharding as Sharding;
}

/** Every D1 is a shard called as the database is, and keys are primary keys: what `shardedDrizzle` does by default. */
async function madeUp(config: WranglerConfig, drizzle: DrizzleConfig | undefined): Promise<Sharding> {
  const coordinator = config.objects.find(({ className }) => className === 'ShardCoordinator');
  return {
    shards: Object.fromEntries(config.databases.map(({ name, binding }) => [name, binding])),
    ...(drizzle && drizzle.schemaFiles.length > 0 ? { schema: await loadSchema(drizzle) } : {}),
    ...(coordinator ? { coordinator: coordinator.binding } : {}),
  };
}
