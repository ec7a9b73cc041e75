import { pause } from '../../src/execution/retry';
import { type D1Call, InterceptedD1 } from '../support/intercepted-d1';
import type { Bindings } from '../support/isolates';

/** Faults of a mover that the history must show. Each is made of its own batches, which come late or do less. */
export type Fault = 'none' | 'skips the freeze' | 'releases before landing' | 'publishes early';

/** How long each fault is left to be seen. */
const OPEN_MS = 60;

type Step = 'freeze' | 'rehearse' | 'land' | 'release' | 'tidy' | undefined;

/** The bindings of a mover with a fault. `none` is as slow as the others, and right. */
export function planted(fault: Fault, bindings: Bindings): Bindings {
  const shards = Object.entries(bindings.shards).map(([name, database]) => {
    const run = (statements: D1Call['statements']) =>
      database.batch(statements.map(({ sql, params }) => prepared(database, sql, params)));
    return [name, new InterceptedD1(database, interceptorFor(fault, run))] as const;
  });
  return { ...bindings, shards: Object.fromEntries(shards) };
}

type Around = <T>(call: D1Call, run: () => Promise<T>) => Promise<T>;
type RunBatch = (statements: D1Call['statements']) => Promise<unknown>;

function interceptorFor(fault: Fault, runBatch: RunBatch): Around {
  /** RELEASE batches that are held back, by move. */
  const held = new Map<unknown, D1Call>();
  return async (call, run) => {
    const step = stepOf(call);
    if (fault === 'none' && (step === 'land' || step === 'release' || step === 'tidy')) await pause(OPEN_MS);
    if (fault === 'skips the freeze') {
      // The mover finds its frozen phase; the guard, which looks for its keyspace, does not.
      if (step === 'freeze') {
        const answer = await run();
        await runBatch([{ sql: `update _shard_moves set keyspace = keyspace || ' ' where ${FROZEN}`, params: [] }]);
        return answer;
      }
      if (step === 'land') await pause(OPEN_MS);
      if (step === 'release') {
        await runBatch([{ sql: `update _shard_moves set keyspace = trim(keyspace) where ${FROZEN}`, params: [] }]);
      }
    }
    if (fault === 'releases before landing') {
      // What is only tried before LAND is done.
      if (step === 'rehearse') {
        await runBatch(call.statements.slice(0, -1));
        throw new Error('D1_ERROR: SHARD_REHEARSED');
      }
      if (step === 'land') await pause(OPEN_MS);
    }
    if (fault === 'publishes early') {
      // RELEASE waits until the target takes writes and the catalog has said so.
      if (step === 'release') {
        held.set(moveOf(call), call);
        return [] as never;
      }
      const late = step === 'tidy' ? held.get(moveOf(call)) : undefined;
      if (late) {
        await pause(OPEN_MS);
        await runBatch(late.statements);
      }
    }
    return run();
  };
}

const FROZEN = "side = 'out' and phase = 'frozen'";

function stepOf({ statements }: D1Call): Step {
  const [last] = statements.slice(-1);
  if (last?.sql.includes('SHARD_REHEARSED')) return statements.some(isRelease) ? 'rehearse' : undefined;
  if (statements.some(isRelease)) return 'release';
  if (statements.some(({ sql, params }) => sql.startsWith('insert into _shard_moves') && params.includes('frozen'))) {
    return 'freeze';
  }
  if (statements.some(({ sql }) => sql.includes("set phase = 'landed'"))) return 'land';
  return statements.some(({ params }) => isPhaseChange(params, 'released', 'closed')) ? 'tidy' : undefined;
}

const isRelease = ({ params }: D1Call['statements'][number]): boolean => isPhaseChange(params, 'frozen', 'released');

/** As `setPhase` binds them: to, move, side, from. */
const isPhaseChange = (params: readonly unknown[], from: string, to: string): boolean =>
  params.length === 4 && params[0] === to && params[2] === 'out' && params[3] === from;

const moveOf = ({ statements }: D1Call): unknown =>
  statements.find(({ params }) => params.length === 4 && params[2] === 'out')?.params[1];

function prepared(database: D1Database, sql: string, params: readonly unknown[]): D1PreparedStatement {
  const statement = database.prepare(sql);
  return params.length > 0 ? statement.bind(...params) : statement;
}
