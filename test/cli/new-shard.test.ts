import { expect, it } from 'vitest';
import { migrateShards, shardedDrizzle } from '../../src/node';
import { Account, bundleOf } from './support/account';
import { shardsOf } from './support/client';
import { MiniflareBackend } from './support/miniflare-backend';
import { FILES, nameOf } from './support/workspace';

it('joins one shard, and no other that is configured and not ready', async () => {
  await using account = await Account.open(new MiniflareBackend({ databases: 4 }));
  const all = shardsOf(account.server);
  const first = (count: number) => Object.fromEntries(Object.entries(all).slice(0, count));
  await migrateShards(shardedDrizzle({ shards: first(2) }), bundleOf(FILES));
  account.workspace.migrations(FILES);

  const joined = await account.run(['new-shard', nameOf(2), '--join', '--json']);
  expect(joined).toMatchObject({ code: 0, json: { ok: true, step: 'done' } });
  const shards = await shardedDrizzle({ shards: first(3) }).$cluster.shards();
  expect(shards.map(({ name, state }) => [name, state])).toEqual([
    [nameOf(0), 'active'],
    [nameOf(1), 'active'],
    [nameOf(2), 'active'],
  ]);

  await account.sql(3, 'create table bills (id text primary key)');
  const foreign = await account.run(['new-shard', nameOf(3), '--json']);
  expect(foreign).toMatchObject({ code: 3, json: { error: { code: 'MIGRATION_REFUSED' } } });
  expect(foreign.json.error?.message).toContain('is not new: it has the table bills');

  const names = [0, 1, 2, 3].map(nameOf);
  const config = {
    shards: Object.fromEntries(names.map((name, i) => [name, `DB_${i}`])),
    shardLocations: Object.fromEntries(names.map((name) => [name, 'weur'])),
    shardWeights: Object.fromEntries(names.map((name) => [name, 1])),
  };
  account.workspace.write('sharded.config.ts', `export default ${JSON.stringify(config)}`);
  const status = await account.run(['status']);
  expect(status).toMatchObject({ code: 0 });
  expect(status.stderr).toContain(`${nameOf(3)} is no part of the cluster yet, and is left out`);
});
