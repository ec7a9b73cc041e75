import { expect, it } from 'vitest';
import { FILES, nameOf, Workspace } from './support/workspace';

it('migrates 3 shards of wrangler dev, and then finds nothing to do', async () => {
  using workspace = new Workspace({ shards: 3, coordinator: true });
  workspace.migrations(FILES);
  const first = await workspace.run(['migrate']);
  expect(first).toMatchObject({ code: 0, stderr: '' });
  expect(first.stdout).toContain('3 of 3 shards lack migrations');
  const again = await workspace.run(['migrate', '--json']);
  expect(again.json).toMatchObject({
    ok: true,
    shards: [0, 1, 2].map((i) => ({ shard: nameOf(i), state: 'current' })),
  });
});
