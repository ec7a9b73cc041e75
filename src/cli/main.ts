#!/usr/bin/env node
// An older Node cannot even load the rest, so this file imports nothing of it before it has looked.
const NEEDED = [22, 12] as const;
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])) {
  await import('./start.js');
} else {
  console.error(
    `sharded-drizzle: Node ${NEEDED.join('.')} or later is needed, as by wrangler; this is ${process.version}.`,
  );
  process.exitCode = 2;
}

export {};
