import { runInDurableObject } from 'cloudflare:test';
import { env as ownEnv } from 'cloudflare:workers';
import type { CoordinatorNamespace } from '../catalog/coordinator-client';
import { ConfigError } from '../errors';
import type { MigrationBundle } from '../migrations/bundle';
import { type Backend, kvPrefix } from './backend';
import { emptyDatabase, emptyKv, emptyObject } from './empty';
import {
  bindingName,
  COORDINATOR_BINDING,
  KV_BINDING,
  MIGRATIONS_BINDING,
  type ShardsOption,
  shardNames,
} from './names';

/** What is looked at of the options. */
interface Wanted {
  readonly shards: ShardsOption;
  readonly kv?: boolean | KVNamespace;
  readonly coordinator?: boolean | CoordinatorNamespace;
  readonly env?: object;
}

/**
 * The bindings of the Worker under test, and the migrations among them.
 *
 * @throws ConfigError when a binding is missing.
 */
export function workerdBackend({
  shards,
  kv: kvOption = true,
  coordinator: coordinatorOption = true,
  env = ownEnv,
}: Wanted): {
  backend: Backend;
  migrations: MigrationBundle | undefined;
} {
  const bindings = new Map<string, unknown>(Object.entries(env));
  const bound = (name: string, instead: string): unknown => {
    const found = bindings.get(name);
    if (found) return found;
    throw new ConfigError(`There is no binding ${name}.`, {
      remedy: `Add the bindings of shardBindings() to the configuration of vitest, see docs/testing.md, or ${instead}.`,
    });
  };
  const given = typeof shards === 'object' && !Array.isArray(shards) ? (shards as Record<string, D1Database>) : {};
  const databases = Object.fromEntries(
    shardNames(shards).map((name) => [
      name,
      given[name] ?? (bound(bindingName(name), `pass shards: { '${name}': env.… }`) as D1Database),
    ]),
  );
  const kv =
    kvOption === true ? (bound(KV_BINDING, 'pass kv: env.… or kv: false') as KVNamespace) : kvOption || undefined;
  const coordinator =
    coordinatorOption === true
      ? (bound(COORDINATOR_BINDING, 'pass coordinator: env.… or coordinator: false') as CoordinatorNamespace)
      : coordinatorOption || undefined;
  const empty = async (cluster: string) => {
    // They refuse when they are not of this machine, and then the rest is not, either.
    await Promise.all(Object.values(databases).map(emptyDatabase));
    await Promise.all([kv && emptyKv(kv, kvPrefix(cluster)), coordinator && emptyCoordinator(coordinator, cluster)]);
  };
  return {
    // The plugin ends the runtime.
    backend: { databases, kv, coordinator, empty, dispose: async () => {} },
    migrations: bindings.get(MIGRATIONS_BINDING) as MigrationBundle | undefined,
  };
}

async function emptyCoordinator(namespace: CoordinatorNamespace, cluster: string): Promise<void> {
  const stub = namespace.get(namespace.idFromName(cluster)) as DurableObjectStub;
  await runInDurableObject(stub, (_instance, { storage }) => emptyObject(storage));
}
