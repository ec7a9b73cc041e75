/** The Worker that a test in Node starts: it hands requests on to real bindings. Built into one file, see `tsup.config.ts`. */
import { ShardCoordinator as Coordinator } from '../../catalog/coordinator';
import type { OperationName } from '../../catalog/operations';
import { kvPrefix } from '../backend';
import { emptyDatabase, emptyKv, emptyObject } from '../empty';
import { COORDINATOR_BINDING, KV_BINDING } from '../names';
import { type CatalogRequest, type D1Request, toWire, type WireAnswer, type WireRequest } from './wire';

type Env = Readonly<Record<string, unknown>>;

export class ShardCoordinator extends Coordinator {
  empty(): Promise<void> {
    return emptyObject(this.ctx.storage);
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    return Response.json(await answer(await request.json<WireRequest>(), env));
  },
};

async function answer(request: WireRequest, env: Env): Promise<WireAnswer> {
  try {
    if (request.kind === 'd1') return await onDatabase(request, env);
    if (request.kind === 'catalog') return { value: await onCatalog(request, env) };
    await empty(request.cluster, env);
    return {};
  } catch (error) {
    return { error: toWire(error) };
  }
}

async function onDatabase(request: D1Request, env: Env): Promise<WireAnswer> {
  const database = env[request.database] as D1Database;
  if (request.session === undefined) return { value: await perform(database, request) };
  const session = database.withSession(request.session);
  return { value: await perform(session, request), bookmark: session.getBookmark() };
}

async function perform(target: D1Database | D1DatabaseSession, request: D1Request): Promise<unknown> {
  const { method, column, columnNames } = request;
  if (method === 'exec') return (target as D1Database).exec(request.statements[0]?.sql ?? '');
  const statements = request.statements.map(({ sql, params }) => target.prepare(sql).bind(...params));
  const [statement] = statements;
  if (method === 'batch' || !statement) return target.batch(statements);
  if (method === 'first') return column === undefined ? statement.first() : statement.first(column);
  if (method === 'raw') return columnNames ? statement.raw({ columnNames: true }) : statement.raw();
  return statement[method]();
}

const coordinatorOf = (env: Env, name: string) =>
  (env[COORDINATOR_BINDING] as DurableObjectNamespace<ShardCoordinator>).getByName(name);

async function onCatalog({ object, operation, args, count }: CatalogRequest, env: Env): Promise<unknown> {
  const inOrder = Array.from({ length: count }, (_, place) => args[place]);
  // Its answer is an object of RPC, which JSON copies.
  return coordinatorOf(env, object).call(operation as OperationName, inOrder);
}

async function empty(cluster: string, env: Env): Promise<void> {
  const databases = Object.entries(env).filter(([name]) => name !== KV_BINDING && name !== COORDINATOR_BINDING);
  await Promise.all([
    ...databases.map(([, database]) => emptyDatabase(database as D1Database)),
    emptyKv(env[KV_BINDING] as KVNamespace, kvPrefix(cluster)),
    coordinatorOf(env, cluster).empty(),
  ]);
}
