import type { Catalog, CatalogView, Enrolment } from '../catalog/catalog';
import { ShardIdentityError } from '../errors';
import type { BoundStatement } from '../sql/bound';
import { signalOf } from './signals';
import { enrolStatements, identityCheck, joinStatements } from './system-tables';

/** Runs a batch on a database, again after transient errors: every batch here may be repeated. */
export type RunBatch = (shard: string, statements: readonly BoundStatement[]) => Promise<unknown>;

/**
 * Tells databases who they are and which slots they own, as far as the catalog does not know that they have been told, then
 * confirms it. Several isolates may do so at once.
 *
 * @throws ShardIdentityError when a binding is another database than its name says.
 */
export async function enrolPending(
  view: CatalogView,
  isBound: (shard: string) => boolean,
  run: RunBatch,
  forEach: (items: readonly Enrolment[], each: (item: Enrolment) => Promise<void>) => Promise<unknown>,
  catalog: Catalog,
): Promise<CatalogView> {
  const { cluster } = view.map;
  // One without a binding here is left to a deployment that has it.
  const pending = view.pending.filter(({ shard, anchor }) => isBound(shard) && isBound(anchor));
  if (pending.length === 0) return view;
  // Before anything is written: a wrong binding among them must not make the others part of a cluster that cannot be.
  await forEach(pending, async ({ shard }) => {
    await checked(shard, cluster, () => run(shard, identityCheck(cluster, shard)));
  });
  await forEach(pending, async (enrolment) => {
    await checked(enrolment.shard, cluster, () => run(enrolment.shard, enrolStatements(cluster, enrolment)));
  });
  const joining = pending.filter(({ weight }) => weight !== 0);
  for (const enrolment of joining) {
    await checked(enrolment.anchor, cluster, () => run(enrolment.anchor, joinStatements(cluster, enrolment)));
  }
  return catalog.confirm(
    pending.map(({ shard, keyspaces }) => {
      const told = keyspaces.flatMap(({ adopting = [] }) => adopting.map(({ id }) => id));
      return { shard, keyspaces: keyspaces.map(({ name }) => name), adoption: Math.max(0, ...told) };
    }),
  );
}

const NEVER_TOLD = /no such table: _shard_identity/;

async function checked(shard: string, cluster: string, run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (error instanceof Error && NEVER_TOLD.test(error.message)) return;
    const signal = signalOf(error);
    throw signal?.kind === 'identity' ? new ShardIdentityError(shard, cluster, signal, { cause: error }) : error;
  }
}
