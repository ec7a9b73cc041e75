import type { Answer, CoordinatorNamespace, RemoteCatalog } from './coordinator-client';
import { isOperation } from './operations';

/** Where {@link catalogEndpoint} listens. */
export const CATALOG_PATH = '/.sharded-drizzle/catalog';

/** Shorter secrets can be guessed. */
const MIN_SECRET_CHARS = 16;

export interface CatalogEndpointOptions {
  /** The binding of `ShardCoordinator`. */
  coordinator: CoordinatorNamespace;
  /** What the command line has to know, at least 16 characters: a secret of the Worker. Without one nothing is answered. */
  secret: string | undefined;
}

/** One operation of the catalog, as it travels. */
export interface CatalogCall {
  readonly cluster: string;
  readonly operation: string;
  readonly args: readonly unknown[];
}

/**
 * Lets the command line reach the catalog in the coordinator, which has no API of its own at Cloudflare: the answer to
 * `POST /.sharded-drizzle/catalog` with the secret as its bearer token. Undefined for every other request.
 *
 * Whoever has the secret can say which shard owns what. Without a coordinator none of this is needed.
 *
 * @example
 * async fetch(request, env) {
 *   const answer = await catalogEndpoint(request, { coordinator: env.SHARD_COORDINATOR, secret: env.SHARDED_SECRET });
 *   if (answer) return answer;
 *   // the Worker's own
 * }
 */
export async function catalogEndpoint(
  request: Request,
  { coordinator, secret }: CatalogEndpointOptions,
): Promise<Response | undefined> {
  if (new URL(request.url).pathname !== CATALOG_PATH) return undefined;
  if (request.method !== 'POST') return refusal(405, 'Only POST is answered here.');
  if (secret === undefined || secret.length < MIN_SECRET_CHARS) {
    return refusal(
      503,
      `The Worker has no secret for the catalog, or one of less than ${MIN_SECRET_CHARS} characters.`,
    );
  }
  const token = /^Bearer (.+)$/.exec(request.headers.get('authorization') ?? '')?.[1] ?? '';
  if (!(await isSame(token, secret))) return refusal(401, 'This is not the secret of the catalog.');
  const call = callOf(await request.json().catch(() => undefined));
  if (!call) return refusal(400, 'The body is no call of the catalog, { cluster, operation, args }.');
  const stub = coordinator.get(coordinator.idFromName(call.cluster)) as RemoteCatalog;
  return Response.json(await stub.call(call.operation as Parameters<RemoteCatalog['call']>[0], call.args));
}

const refusal = (status: number, error: string): Response =>
  Response.json({ error } satisfies Answer<never>, { status });

function callOf(body: unknown): CatalogCall | undefined {
  const { cluster, operation, args } = (body ?? {}) as Partial<CatalogCall>;
  if (typeof cluster !== 'string' || typeof operation !== 'string' || !Array.isArray(args)) return undefined;
  return isOperation(operation) ? { cluster, operation, args } : undefined;
}

/** Compares digests, so that the time it takes tells nothing of the secret. */
async function isSame(given: string, secret: string): Promise<boolean> {
  const digest = async (text: string) =>
    new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  const [a, b] = await Promise.all([digest(given), digest(secret)]);
  return a.reduce((difference, byte, i) => difference | (byte ^ (b[i] ?? 0)), 0) === 0;
}
