import { expect, it } from 'vitest';
import type { Fleet } from '../../src/cli/fleet/fleet';
import { runJob } from '../../src/cli/output/job-progress';
import { createOutput } from '../../src/cli/output/output';
import { statusOf } from '../../src/moves/job-status';

it('says what a job in the background meets while it is tried again', async () => {
  const job = { id: 7, kind: 'drain', at: 0, steps: [], moves: 0, rows: 0, bytes: 0, totalRows: 0, started: 0 };
  const answers = [
    { ...job, state: 'running', error: null, finished: null },
    { ...job, state: 'running', error: 'There is no binding for db-1.', finished: null },
    { ...job, state: 'running', error: 'There is no binding for db-1.', finished: null },
    { ...job, state: 'done', error: null, finished: 1 },
  ] as never[];
  const [first] = answers;
  const fleet = {
    where: 'remote',
    cluster: { controlShard: undefined },
    catalog: { job: async () => answers.shift() },
  } as unknown as Fleet;
  const notes: string[] = [];
  const out = { ...createOutput(false), line: () => {}, note: (text: string) => notes.push(text) };
  const report = await runJob(fleet, out, new AbortController().signal, async () => ({
    job: statusOf(first as never),
  }));
  expect(report.job.state).toBe('done');
  expect(notes).toEqual([
    'Job 7 goes on trying: There is no binding for db-1. To stop it: npx sharded-drizzle moves cancel 7',
  ]);
});
