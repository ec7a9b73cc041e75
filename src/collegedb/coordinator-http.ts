import type { Block, ShardMap } from '../catalog/catalog';
import { isRegion, pointOf } from '../placement/regions';
import { SLOTS, slotOf } from '../placement/slots';
import { type Candidate, nearest, random, roundRobin } from '../placement/strategies';

/** Counts of keys by shard, as somebody has reported them. */
export type ReportedCounts = Record<string, { count: number; lastUpdated: number }>;

/** What the endpoints need of the coordinator. */
export interface CoordinatorStore {
  map(): Promise<ShardMap | undefined>;
  block(counter: string, atLeast: number): Promise<Block>;
  counts(): Promise<ReportedCounts>;
  setCounts(counts: ReportedCounts): Promise<void>;
}

type Body = Readonly<Record<string, unknown>>;
type Endpoint = (store: CoordinatorStore, body: Body) => Promise<Response>;

const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  'GET /shards': async (store) => Response.json((await shardsOf(store)).map(({ name }) => name)),
  'POST /shards': async (store, { shard }) =>
    typeof shard !== 'string'
      ? refused('`shard` has to be the name of a shard.')
      : (await shardsOf(store)).some(({ name }) => name === shard)
        ? done()
        : refused(`A shard is a database with a binding: add ${shard} to \`shards\` and deploy.`, 409),
  'DELETE /shards': async (store, { shard }) =>
    typeof shard !== 'string'
      ? refused('`shard` has to be the name of a shard.')
      : (await shardsOf(store)).some(({ name }) => name === shard)
        ? refused(`${shard} may have rows: move them away with db.$cluster.drain('${shard}').`, 409)
        : done(),
  'GET /stats': async (store) => {
    const counts = await store.counts();
    const shards = await shardsOf(store);
    return Response.json(
      shards.map(({ name }) => ({
        binding: name,
        count: counts[name]?.count ?? 0,
        lastUpdated: counts[name]?.lastUpdated,
      })),
    );
  },
  'POST /stats': async (store, { shard, count }) => {
    if (typeof shard !== 'string') return refused('`shard` has to be the name of a shard.');
    if (typeof count !== 'number') return refused('`count` has to be a number.');
    if ((await shardsOf(store)).some(({ name }) => name === shard)) {
      await store.setCounts({ ...(await store.counts()), [shard]: { count, lastUpdated: Date.now() } });
    }
    return done();
  },
  'POST /allocate': allocate,
  'POST /sequence': async (store, { name, min }) => {
    if (typeof name !== 'string') return refused('`name` has to be the name of a sequence.');
    const { from } = await store.block(`collegedb:${name}`, typeof min === 'number' ? Math.max(0, min - 1) : 0);
    return Response.json({ value: from });
  },
  'POST /flush': async (store) => {
    await store.setCounts({});
    return done();
  },
};

/**
 * CollegeDB's endpoints of the coordinator. All but `/health` want the secret: `Authorization: Bearer <secret>`.
 *
 * @param secret Undefined: nothing but `/health` answers.
 */
export async function coordinatorFetch(
  request: Request,
  store: CoordinatorStore,
  secret: string | undefined,
): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (request.method === 'GET' && pathname === '/health') return new Response('OK');
  if (!secret) {
    return new Response('This coordinator has no secret: set COLLEGEDB_SECRET with `wrangler secret put`.', {
      status: 403,
    });
  }
  if (!(await isSame(request.headers.get('authorization') ?? '', `Bearer ${secret}`))) {
    return new Response('Send the secret: Authorization: Bearer <COLLEGEDB_SECRET>.', { status: 401 });
  }
  const endpoint = ENDPOINTS[`${request.method} ${pathname}`];
  if (!endpoint) return new Response('Not Found', { status: 404 });
  const body: unknown = request.method === 'GET' ? {} : await request.json().catch(() => ({}));
  return endpoint(store, typeof body === 'object' && body !== null ? (body as Body) : {});
}

/** Digests have one length, and are compared in the same time whatever they hold. */
async function isSame(given: string, wanted: string): Promise<boolean> {
  const [a, b] = await Promise.all(
    [given, wanted].map((text) => crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))),
  );
  return crypto.subtle.timingSafeEqual(a as ArrayBuffer, b as ArrayBuffer);
}

const done = (): Response => Response.json({ success: true });
const refused = (error: string, status = 400): Response => Response.json({ error }, { status });

const shardsOf = async (store: CoordinatorStore): Promise<ShardMap['shards']> =>
  ((await store.map())?.shards ?? []).filter(({ state }) => state !== 'retired');

/** Where a new key would go. Nothing is placed, but for a turn that round-robin takes. */
async function allocate(store: CoordinatorStore, body: Body): Promise<Response> {
  const { primaryKey, availableShards } = body;
  if (typeof primaryKey !== 'string') return refused('`primaryKey` has to be a text.');
  const map = await store.map();
  const wanted = Array.isArray(availableShards) ? new Set<unknown>(availableShards) : undefined;
  const candidates = (map?.shards ?? [])
    .filter(({ name, state }) => state === 'active' && (!wanted || wanted.has(name)))
    .map((shard): Candidate => ({ ...shard, ...placeOf(body.shardLocations, shard.name) }));
  if (!map || candidates.length === 0) return refused('There is no shard that takes new keys.');
  const shard = await choose(store, map, candidates, primaryKey, body);
  return Response.json({ shard });
}

async function choose(
  store: CoordinatorStore,
  map: ShardMap,
  candidates: readonly Candidate[],
  key: string,
  { strategy, operationType, targetRegion }: Body,
): Promise<string> {
  switch (strategyOf(strategy, operationType) ?? map.keyspaces.default?.strategy) {
    case 'round-robin':
      return roundRobin((await store.block('collegedb:allocate', 0)).from, candidates);
    case 'random':
      return random(candidates);
    case 'location':
      return nearest(key, candidates, pointOf(isRegion(targetRegion) ? targetRegion : undefined));
  }
  const slot = slotOf(key);
  const home = map.keyspaces.default?.ranges.find(({ lo, hi }) => lo <= slot && slot <= hi)?.shard;
  const own = candidates.find(({ name }) => name === home);
  return (own ?? (candidates[Math.floor((slot / SLOTS) * candidates.length)] as Candidate)).name;
}

function strategyOf(strategy: unknown, operationType: unknown): unknown {
  if (typeof strategy !== 'object' || strategy === null) return strategy;
  const { read, write } = strategy as { read?: unknown; write?: unknown };
  return operationType === 'read' ? read : write;
}

/** Where a request says that a shard is. */
function placeOf(locations: unknown, shard: string): Pick<Candidate, 'priority'> & { region?: string } {
  const given = (locations as Record<string, unknown> | undefined)?.[shard];
  const { region, priority } = typeof given === 'object' && given !== null ? (given as Body) : { region: given };
  return {
    priority: typeof priority === 'number' && priority > 0 ? priority : 1,
    ...(isRegion(region) ? { region } : {}),
  };
}
