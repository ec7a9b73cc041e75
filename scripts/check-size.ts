import { dirname } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** What an application adds to its Worker by importing `shardedDrizzle`, in bytes of gzip. */
const LIMIT = 122_500;

const root = dirname(import.meta.dirname);

const { outputFiles, metafile } = await build({
  stdin: { contents: "export { shardedDrizzle } from './src/index';", resolveDir: root, loader: 'ts' },
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  platform: 'neutral',
  mainFields: ['module', 'main'],
  conditions: ['workerd', 'worker', 'browser'],
  // The application has drizzle-orm already, so it is not ours to count.
  external: ['drizzle-orm', 'drizzle-orm/*', 'cloudflare:*', 'node:*'],
  absWorkingDir: root,
  metafile: true,
  write: false,
});

// Entries of their own, for those who come from CollegeDB, and for tests.
const strays = Object.keys(metafile.inputs).filter((path) => /^src\/(collegedb|testing)\//.test(path));
if (strays.length > 0) {
  console.error(`The main entry imports ${strays.join(', ')}.`);
  process.exitCode = 1;
}

const code = outputFiles[0]?.contents ?? new Uint8Array();
const gzipped = gzipSync(code, { level: 9 }).byteLength;

const inputs = Object.values(metafile.outputs)[0]?.inputs ?? {};
for (const [path, { bytesInOutput }] of Object.entries(inputs).sort(
  ([, a], [, b]) => b.bytesInOutput - a.bytesInOutput,
)) {
  if (bytesInOutput > 0) console.log(`${String(bytesInOutput).padStart(8)}  ${path}`);
}
console.log(`${String(code.byteLength).padStart(8)}  bytes minified`);
console.log(`${String(gzipped).padStart(8)}  bytes gzip (limit ${LIMIT})`);

if (gzipped > LIMIT) {
  console.error(`The bundle is ${gzipped - LIMIT} bytes over its limit.`);
  process.exitCode = 1;
}
