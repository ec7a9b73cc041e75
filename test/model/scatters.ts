/** Reads and writes of all shards of a router's map. */
import { isRetired } from './drain.ts';
import { inMotion } from './shard.ts';
import { type Emit, has, nameOf, SCATTERED, type State, VALUE_BITS } from './state.ts';
import { SCATTER, SCATTER_WRITE, STEP_END, type World } from './world.ts';

const STEP = { begin: 0, first: 1, second: 2, end: STEP_END } as const;

/** The keys that exist as a scatter begins: it has to find those that are not deleted meanwhile. */
function existing(world: World, state: State): number {
  let keys = 0;
  for (let key = 0; key < world.keys; key++) if (world.newest.get(state, key)) keys |= 1 << key;
  return keys;
}

/** One round of a scatter read. If it is not accepted there is another: one round is as good as all. */
export function scatterRead(world: World, state: State, row: number, emit: Emit): void {
  const { scatter, keys } = world;
  const set = world.scope.scatters?.[row];
  const step = scatter.get(state, row, SCATTER.step);
  if (!set || step === STEP.end) return;
  const next = state.slice();
  const seen = (key: number) => SCATTER.columns + key;
  const least = (key: number) => SCATTER.columns + keys + key;
  if (step === STEP.begin) {
    if (set.afterRetire && !isRetired(world, state)) return;
    scatter.set(next, STEP.first, row, SCATTER.step);
    scatter.set(next, existing(world, state), row, SCATTER.must);
    if (set.afterRetire) scatter.set(next, world.base.get(state), row, SCATTER.digest);
    for (let key = 0; key < keys; key++) {
      scatter.set(next, world.newest.get(state, key) & VALUE_BITS, row, least(key));
    }
    emit(next, () => `scatter ${row}: begins`);
    return;
  }
  const asked = scatter.get(state, row, SCATTER.asked);
  const must = scatter.get(state, row, SCATTER.must);
  let isComplete = true;
  for (const shard of set.shards) {
    if (has(asked, shard)) continue;
    isComplete = false;
    const after = state.slice();
    scatter.set(after, asked | (1 << shard), row, SCATTER.asked);
    scatter.xor(after, world.digest.get(state, shard), row, SCATTER.digest);
    for (let key = 0; key < keys; key++) {
      const value = world.value.get(state, shard, key);
      if (!value) continue;
      scatter.increment(after, row, seen(key));
      const isOld = (value & VALUE_BITS) < scatter.get(state, row, least(key));
      if (isOld && has(must, key)) scatter.set(after, 1, row, SCATTER.old);
    }
    emit(after, () => `scatter ${row}: reads ${nameOf(shard)}`);
  }
  if (!isComplete) return;
  const isBalanced = scatter.get(state, row, SCATTER.digest) === 0;
  let wrong: string | null = null;
  for (let key = 0; key < keys; key++) {
    if (scatter.get(state, row, seen(key)) > 1) wrong ??= `a scatter answers with key ${key} twice`;
    if (has(must, key) && !scatter.get(state, row, seen(key))) wrong ??= `a scatter misses key ${key}, which was there`;
  }
  if (scatter.get(state, row, SCATTER.old)) wrong ??= 'a scatter answers with an old version';
  scatter.clearRow(next, row);
  scatter.set(next, STEP.end, row, SCATTER.step);
  const isAccepted = isBalanced || !world.rules.digests;
  emit(next, () => `scatter ${row}: ${isAccepted ? 'answers' : 'is unbalanced'}`, isAccepted ? wrong : null);
}

export function scatterWrite(world: World, state: State, row: number, emit: Emit): void {
  const { scatterWrite: writes } = world;
  const set = world.scope.scatterWrites?.[row];
  const step = writes.get(state, row, SCATTER_WRITE.step);
  if (!set || step === STEP.end) return;
  if (step === STEP.begin) {
    const next = state.slice();
    writes.set(next, existing(world, state), row, SCATTER_WRITE.must);
    writes.set(next, world.rules.pins ? STEP.first : STEP.second, row, SCATTER_WRITE.step);
    emit(next, () => 'scatter write: begins');
    return;
  }
  if (step === STEP.first) pinAll(world, state, row, set.shards, emit);
  else runAll(world, state, row, set.shards, emit);
}

function unpinAll(world: World, state: State, row: number): State {
  const next = state.slice();
  for (let shard = 0; shard < world.scope.shards; shard++) {
    world.pins.set(next, world.pins.get(state, shard) & ~(1 << row), shard);
  }
  world.scatterWrite.clearRow(next, row);
  world.scatterWrite.set(next, STEP.end, row, SCATTER_WRITE.step);
  return next;
}

function pinAll(world: World, state: State, row: number, shards: readonly number[], emit: Emit): void {
  const { scatterWrite: writes } = world;
  const pinned = writes.get(state, row, SCATTER_WRITE.pinned);
  let isComplete = true;
  for (const shard of shards) {
    if (has(pinned, shard)) continue;
    isComplete = false;
    if (inMotion(world, state, shard)) continue;
    const next = state.slice();
    world.pins.set(next, world.pins.get(state, shard) | (1 << row), shard);
    writes.set(next, pinned | (1 << shard), row, SCATTER_WRITE.pinned);
    writes.xor(next, world.digest.get(state, shard), row, SCATTER_WRITE.digest);
    emit(next, () => `scatter write: pin on ${nameOf(shard)}`);
  }
  if (!isComplete) {
    if (pinned) emit(unpinAll(world, state, row), () => 'scatter write: unpin, gives up');
    return;
  }
  if (world.rules.pinDigests && writes.get(state, row, SCATTER_WRITE.digest)) {
    emit(unpinAll(world, state, row), () => 'scatter write: unpin, unbalanced');
    return;
  }
  const next = state.slice();
  writes.set(next, STEP.second, row, SCATTER_WRITE.step);
  writes.set(next, 0, row, SCATTER_WRITE.digest);
  emit(next, () => 'scatter write: all pinned');
}

function runAll(world: World, state: State, row: number, shards: readonly number[], emit: Emit): void {
  const { scatterWrite: writes } = world;
  const written = writes.get(state, row, SCATTER_WRITE.written);
  let isComplete = true;
  for (const shard of shards) {
    if (has(written, shard)) continue;
    isComplete = false;
    if (world.rules.pins && !has(world.pins.get(state, shard), row)) {
      emit(unpinAll(world, state, row), () => `scatter write: its pin on ${nameOf(shard)} has gone, partial error`);
      continue;
    }
    if (!world.rules.pins && inMotion(world, state, shard)) continue;
    const next = state.slice();
    world.pins.set(next, world.pins.get(state, shard) & ~(1 << row), shard);
    writes.set(next, written | (1 << shard), row, SCATTER_WRITE.written);
    for (let key = 0; key < world.keys; key++) {
      const value = world.value.get(state, shard, key);
      if (!value) continue;
      world.value.set(next, value + SCATTERED, shard, key);
      world.newest.set(next, world.newest.get(state, key) + SCATTERED, key);
    }
    emit(next, () => `scatter write: runs on ${nameOf(shard)}, unpin`);
  }
  if (!isComplete) return;
  let wrong: string | null = null;
  for (let key = 0; key < world.keys; key++) {
    const times = Math.trunc(world.newest.get(state, key) / SCATTERED);
    const must = has(writes.get(state, row, SCATTER_WRITE.must), key);
    if (must && times !== 1) wrong ??= `an acknowledged scatter write was applied ${times} times to key ${key}`;
  }
  const next = unpinAll(world, state, row);
  emit(next, () => 'scatter write: acknowledged', wrong);
}
