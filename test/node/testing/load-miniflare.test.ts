import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadMiniflare } from '../../../src/in-node/load-miniflare';
import { folderWith } from '../support/folders';

const fake = { 'package.json': '{"main":"main.cjs"}', 'main.cjs': 'exports.Miniflare = "theirs";' };
const inFolder = (folder: string) =>
  Object.fromEntries(Object.entries(fake).map(([name, text]) => [`${folder}/${name}`, text]));

it('takes the Miniflare of the project', async () => {
  const project = folderWith(inFolder('node_modules/miniflare'));
  expect((await loadMiniflare([join(project, 'package.json')])).Miniflare).toBe('theirs');
});

it('takes the one that only wrangler sees', async () => {
  const project = folderWith({
    'node_modules/wrangler/package.json': '{"exports":{"import":"./only.mjs"}}',
    ...inFolder('node_modules/wrangler/node_modules/miniflare'),
  });
  expect((await loadMiniflare([join(project, 'package.json')])).Miniflare).toBe('theirs');
});

it('says what to install', async () => {
  const project = folderWith({});
  await expect(loadMiniflare([join(project, 'package.json')])).rejects.toThrow('npm install --save-dev miniflare');
});
