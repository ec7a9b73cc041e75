import type { convertV4MiniflareOptions, MiniflareOptions } from 'miniflare';
import { ConfigError } from '../../errors';
import { loadMiniflare, type MiniflareModule } from '../../in-node/load-miniflare';
import type { Backend } from '../backend';
import { COORDINATOR_BINDING, KV_BINDING, type ShardsOption, shardNames } from '../names';
import { remoteCoordinator } from './remote-coordinator';
import { RemoteD1 } from './remote-d1';
import { type Ask, fromWire, type WireAnswer } from './wire';
import { workerScript } from './worker-script';

type V4MiniflareOptions = Parameters<typeof convertV4MiniflareOptions>[0];

/** What is looked at of the options. */
interface Wanted {
  readonly shards: ShardsOption;
  readonly kv?: unknown;
  readonly coordinator?: unknown;
}

/** Miniflare 4 takes the options as they are, and 5 wants others. */
function start(module: MiniflareModule, options: V4MiniflareOptions) {
  const { Miniflare } = module;
  const isV4 = !('convertV4MiniflareOptions' in module);
  return new Miniflare(isV4 ? (options as unknown as MiniflareOptions) : module.convertV4MiniflareOptions(options));
}

/**
 * Starts a runtime with databases in memory.
 *
 * @throws ConfigError without Miniflare, or for bindings, which only a Worker has.
 */
export async function nodeBackend({ shards, kv = true, coordinator = true }: Wanted): Promise<Backend> {
  const hasBindings = typeof shards === 'object' && !Array.isArray(shards);
  if (hasBindings || typeof kv !== 'boolean' || typeof coordinator !== 'boolean') {
    throw new ConfigError('In Node the test cluster makes its own bindings.', {
      remedy: 'Write how many shards, or their names, and true or false for kv and coordinator.',
    });
  }
  const databases = new Map(shardNames(shards).map((name, index) => [name, `DB_${index}`]));
  const options = {
    modules: true,
    script: await workerScript(),
    compatibilityDate: '2025-09-01',
    d1Databases: Object.fromEntries([...databases.values()].map((binding) => [binding, binding])),
    kvNamespaces: [KV_BINDING],
    durableObjects: { [COORDINATOR_BINDING]: { className: 'ShardCoordinator', useSQLite: true } },
  };
  const runtime = start(await loadMiniflare(), options);
  await runtime.ready;
  const ask: Ask = async (request) => {
    const response = await runtime.dispatchFetch('http://cluster/', { method: 'POST', body: JSON.stringify(request) });
    const answer = (await response.json()) as WireAnswer;
    if ('error' in answer) throw fromWire(answer.error);
    return answer;
  };
  return {
    databases: Object.fromEntries([...databases].map(([name, binding]) => [name, new RemoteD1(ask, binding)])),
    kv: kv ? ((await runtime.getKVNamespace(KV_BINDING)) as unknown as KVNamespace) : undefined,
    coordinator: coordinator ? remoteCoordinator(ask) : undefined,
    empty: async (cluster) => {
      await ask({ kind: 'empty', cluster });
    },
    dispose: () => runtime.dispose(),
  };
}
