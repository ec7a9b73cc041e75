import type { Job, MoveJournal } from './journal';
import { readJob } from './move-rows';
import type { Operations } from './operations';
import { type Row, statement, textOf } from './program';
import { NOW_MS } from './tables';

const JOB = 'select * from _shard_catalog_jobs where id = cast(?1 as integer)';
const UNDER_WAY = "state in ('running', 'paused')";
const readOne = (results: readonly (readonly Row[])[]): Job | undefined => {
  const row = results.at(-1)?.[0];
  return row && readJob(row);
};

type JobOperations = Pick<MoveJournal, 'startJob' | 'job' | 'jobs' | 'advanceJob' | 'leaseJob'>;

export const jobOperations: Operations<JobOperations> = {
  startJob: ({ request, kind, spec, steps, options, totalRows }) => ({
    statements: [
      statement(
        `insert into _shard_catalog_jobs (request, kind, spec, steps, options, total_rows, started)
          values (?1, ?2, ?3, ?4, ?5, cast(?6 as integer), ${NOW_MS}) on conflict do nothing`,
        request,
        kind,
        spec,
        JSON.stringify(steps),
        JSON.stringify(options),
        String(totalRows),
      ),
      statement('select * from _shard_catalog_jobs where request = ?1', request),
    ],
    read: (results) => readOne(results) as Job,
  }),
  job: (id) => ({ statements: [statement(JOB, String(id))], read: readOne, whenEmpty: { answer: undefined } }),
  jobs: (finished) => ({
    statements: [
      statement(
        `select * from _shard_catalog_jobs where ${UNDER_WAY} or id in (
          select id from _shard_catalog_jobs where not ${UNDER_WAY} order by id desc limit cast(?1 as integer))
          order by id desc`,
        String(finished),
      ),
    ],
    read: ([rows = []]) => rows.map(readJob),
    whenEmpty: { answer: [] },
  }),
  advanceJob: (id, { at, cursor, place, state, error, rows = 0, bytes = 0, moves = 0 }) => ({
    statements: [
      statement(
        // `error` may be set to null, so that what is left out has to be told apart.
        `update _shard_catalog_jobs set at = coalesce(cast(?2 as integer), at), cursor = coalesce(cast(?3 as integer), cursor),
            place = case when ?2 is null then coalesce(?10, place) else ?10 end,
            state = coalesce(?4, state), error = case ?5 when 'keep' then error else ?6 end,
            rows = rows + cast(?7 as integer), bytes = bytes + cast(?8 as integer), moves = moves + cast(?9 as integer),
            finished = case when ?4 in ('done', 'cancelled', 'failed') then ${NOW_MS} else finished end
          where id = cast(?1 as integer) and ${UNDER_WAY}`,
        String(id),
        textOf(at),
        textOf(cursor),
        textOf(state),
        error === undefined ? 'keep' : 'set',
        textOf(error),
        String(rows),
        String(bytes),
        String(moves),
        textOf(place),
      ),
      statement(JOB, String(id)),
    ],
    read: readOne,
  }),
  leaseJob: (id, driver, seconds) => ({
    statements: [
      statement(
        `update _shard_catalog_jobs set driver = ?2, leased_until = ${NOW_MS} + 1000 * cast(?3 as integer)
          where id = cast(?1 as integer) and (driver is ?2 or leased_until < ${NOW_MS}) returning id`,
        String(id),
        driver,
        String(seconds),
      ),
    ],
    read: ([rows = []]) => rows.length > 0,
  }),
};
